#!/usr/bin/env bash
# Interrupts: away from the stages' cores.
#
# An interrupt on a stage's core takes a few microseconds from the order behind it, and its softirq
# more. Devices are steered to the other cores; SEAT_CORES names those to keep free. An interrupt
# that a driver pins itself (managed) refuses, and is told. irqbalance would undo all of it.
. "$(dirname "$0")/common.sh"

knobs() {
    need_seats || return
    local have wanted
    for irq in "$ROOT"/proc/irq/[0-9]*/smp_affinity_list; do
        [ -f "$irq" ] || continue
        have=$(value "$irq")
        wanted=$have
        overlaps "$have" && wanted=$(other_cores)
        knob "${irq#"$ROOT"}" "$wanted" "It must not run on a stage's core."
    done
    fixed irqbalance "$(balancer)" "not running" "It steers interrupts back: stop and mask it."
}

# Whether a list of cores shares one with the stages.
overlaps() {
    [ -n "$({ SEAT_CORES=$1 seat_cores; seat_cores; } | sort | uniq -d)" ]
}

balancer() {
    pidof irqbalance >/dev/null 2>&1 && echo running || echo "not running"
}

tune "$@"
