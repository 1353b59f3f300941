#!/usr/bin/env bash
# Cores: full clock, no deep sleep, no scheduler on the stages' cores.
#
# A stage spins on a core of its own. What hurts it is not load but interruption: a clock that
# ramps up only after work has come, a sleep state that takes 100 us to leave, a timer tick each
# 4 ms, a watchdog. SEAT_CORES names the stages' cores ("1-5", as in SEATS). What only the boot
# command line can change (isolation) is told, with the words to add to it.
. "$(dirname "$0")/common.sh"

knobs() {
    local cpu=/sys/devices/system/cpu
    knob /proc/sys/kernel/nmi_watchdog 0 "The watchdog interrupts every core each few seconds."
    knob /proc/sys/kernel/timer_migration 0 "Timers of other cores would be handed to idle ones."
    knob /proc/sys/kernel/numa_balancing 0 "It unmaps pages to see who touches them: page faults."
    knob /proc/sys/kernel/sched_rt_runtime_us -1 \
        "Kernels before 6.12 stop a real-time stage for 50 ms of each second."
    knob $cpu/intel_pstate/no_turbo 0 "Turbo is clock."
    need_seats || return
    for core in $(seat_cores); do
        knob $cpu/cpu$core/cpufreq/scaling_governor performance "Full clock before work comes."
        knob $cpu/cpu$core/cpufreq/energy_performance_preference performance "The same, by hint."
        for state in "$ROOT"$cpu/cpu$core/cpuidle/state[2-9]; do
            [ -d "$state" ] && knob "${state#"$ROOT"}/disable" 1 "Deep sleep takes long to leave."
        done
    done
    local isolated
    isolated=$(value "$ROOT$cpu/isolated" 2>/dev/null)
    fixed isolcpus "${isolated:-none}" "$SEAT_CORES" "Boot with isolcpus=managed_irq,domain,$SEAT_CORES."
    isolated=$(value "$ROOT$cpu/nohz_full" 2>/dev/null | tr -d '()')
    case $isolated in null) isolated= ;; esac
    fixed nohz_full "${isolated:-none}" "$SEAT_CORES" \
        "No timer tick: boot with nohz_full=$SEAT_CORES rcu_nocbs=$SEAT_CORES."
}

tune "$@"
