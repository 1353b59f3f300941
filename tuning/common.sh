# What every knob group shares: look, change, remember what was there, undo. Sourced, not run.
#
# A group is a script with a function `knobs` that calls `knob` once for each of its settings; the
# last line of the script is `tune "$@"`. What was there before an `apply` is kept in STATE, one
# line a knob, so that `undo` restores exactly that, also after a second `apply`.

# Where an `apply` remembers. Gone after a reboot, as are all values that these scripts set.
STATE=${PARALLAX_TUNING_STATE:-/run/parallax-tuning}
# Where the knobs are; a test points it at a copy.
ROOT=${PARALLAX_TUNING_ROOT:-}
GROUP=$(basename "$0" .sh)
off=0
failed=0

usage() {
    cat <<END
usage: $GROUP.sh check | apply | undo
  check   one line a knob: ok, off or absent; status 1 when one is off
  apply   sets what is off and can be set (as root); remembers what was there
  undo    puts back what apply found
END
}

# knob PATH WANTED WHY: a file of the kernel and the value it should have. A selection such as
# "always [madvise] never" is read as the word in brackets.
knob() {
    local path=$1 wanted=$2 why=$3 have
    if [ ! -r "$ROOT$path" ]; then
        line absent "$path" - "$wanted" "$why"
        return
    fi
    have=$(value "$ROOT$path")
    case $mode in
        check) judge "$path" "$have" "$wanted" "$why" ;;
        apply) [ "$have" = "$wanted" ] || change "$path" "$have" "$wanted" "$why" ;;
    esac
}

# fixed WHAT HAVE WANTED WHY: what only a boot or another program can change; never set here.
fixed() {
    case $mode in
        check) judge "$1" "$2" "$3" "$4" ;;
        apply) [ "$2" = "$3" ] || line boot "$1" "$2" "$3" "$4" ;;
    esac
}

value() {
    local text
    text=$(cat "$1" 2>/dev/null)
    case $text in
        *\[*\]*) text=${text#*[} && text=${text%%]*} ;;
    esac
    printf '%s' "$text" | tr -s '[:space:]' ' ' | sed 's/ $//'
}

judge() {
    if [ "$2" = "$3" ]; then
        line ok "$1" "$2" "$3" "$4"
    else
        off=1
        line off "$1" "$2" "$3" "$4"
    fi
}

# Remembered before it is set: an apply that dies half-way can be undone.
change() {
    mkdir -p "$STATE" || exit 2
    grep -qs "^$1	" "$STATE/$GROUP" || printf '%s\t%s\n' "$1" "$2" >>"$STATE/$GROUP"
    if printf '%s' "$3" 2>/dev/null >"$ROOT$1" && [ "$(value "$ROOT$1")" = "$3" ]; then
        line set "$1" "$2" "$3" "$4"
    else
        failed=1
        line refused "$1" "$2" "$3" "$4"
    fi
}

line() {
    printf '%-8s %s: %s, wanted %s. %s\n' "$1" "$2" "$3" "$4" "$5"
}

restore() {
    [ -f "$STATE/$GROUP" ] || { echo "nothing to undo"; return; }
    while IFS='	' read -r path before; do
        if printf '%s' "$before" 2>/dev/null >"$ROOT$path"; then
            line back "$path" "$before" "$before" "As it was."
        else
            failed=1
            line refused "$path" "$(value "$ROOT$path")" "$before" "Could not be put back."
        fi
    done <"$STATE/$GROUP"
    [ "$failed" -ne 0 ] || rm -f "$STATE/$GROUP"
}

# The cores of the stages, one a line; SEAT_CORES is a list such as "1-5" or "2,4,6".
seat_cores() {
    printf '%s\n' "${SEAT_CORES:-}" | tr ',' '\n' | while IFS=- read -r first last; do
        [ -n "$first" ] && seq "$first" "${last:-$first}"
    done
}

# All cores but those, as a list "0,6,7".
other_cores() {
    local seats
    seats=$(seat_cores)
    for cpu in "$ROOT"/sys/devices/system/cpu/cpu[0-9]*; do
        cpu=${cpu##*/cpu}
        printf '%s\n' "$seats" | grep -qx "$cpu" || printf '%s\n' "$cpu"
    done | sort -n | paste -sd, -
}

need_seats() {
    [ -n "${SEAT_CORES:-}" ] || {
        echo "SEAT_CORES is not set: e.g. SEAT_CORES=1-5 $0 check. Knobs of single cores are left out."
        return 1
    }
}

tune() {
    mode=${1:-}
    case $mode in
        check) knobs ;;
        apply) knobs ;;
        undo) restore ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    [ "$off" -eq 0 ] && [ "$failed" -eq 0 ]
}
