#!/usr/bin/env bash
# Clock: read in nanoseconds, and right.
#
# Every stage reads the clock several times an event. From the processor's counter that costs 20 to
# 30 ns; from hpet or acpi_pm a system call and a microsecond. Wall time goes into signatures
# (expiry, deadlines): a venue refuses an order whose clock is off by seconds.
. "$(dirname "$0")/common.sh"

knobs() {
    local source=/sys/devices/system/clocksource/clocksource0
    case $(value "$ROOT$source/available_clocksource" 2>/dev/null) in
        *tsc*) knob $source/current_clocksource tsc "Read without a system call." ;;
        *) fixed clocksource "$(value "$ROOT$source/current_clocksource" 2>/dev/null)" tsc \
            "This machine offers no tsc; kvm-clock is the next best." ;;
    esac
    fixed "time service" "$(keeper)" running "Wall time drifts: run chrony or systemd-timesyncd."
}

keeper() {
    for service in chronyd systemd-timesyncd ntpd ptp4l; do
        pgrep -x "${service:0:15}" >/dev/null 2>&1 && { echo running; return; }
    done
    echo "not running"
}

tune "$@"
