#!/usr/bin/env bash
# Network: packets at once, in both directions.
#
# The stages poll their sockets without sleeping; with busy polling the kernel asks the card in the
# same call rather than wait for its interrupt. After a quiet second an ordinary connection starts
# slowly again: an order after a calm market must not. Buffers hold a burst of every market.
. "$(dirname "$0")/common.sh"

knobs() {
    local core=/proc/sys/net/core tcp=/proc/sys/net/ipv4
    knob $core/busy_read 50 "Microseconds in which a read asks the card itself."
    knob $core/busy_poll 50 "The same for polls."
    knob $core/rmem_max 16777216 "A snapshot of every market fits while we are busy."
    knob $core/wmem_max 4194304 "Orders never wait for buffer."
    knob $core/netdev_budget_usecs 2000 "Bounds how long softirq holds a core."
    knob $tcp/tcp_slow_start_after_idle 0 "No slow start after a calm market."
    knob $tcp/tcp_autocorking 0 "Small writes leave at once."
    knob $tcp/tcp_no_metrics_save 1 "One bad connection must not slow the next."
    knob $tcp/tcp_timestamps 1 "Round trips are measured by them."
    [ -n "${NET_DEVICE:-}" ] || {
        echo "NET_DEVICE is not set: e.g. NET_DEVICE=eth0 $0 check. Its interrupts are left out."
        return
    }
    fixed "$NET_DEVICE rx-usecs" "$(coalescing)" 0 \
        "The card waits before it interrupts: ethtool -C $NET_DEVICE adaptive-rx off rx-usecs 0."
}

coalescing() {
    { ethtool -c "$NET_DEVICE" 2>/dev/null || echo "rx-usecs: unknown"; } |
        sed -n 's/^rx-usecs: *//p' | head -n 1
}

tune "$@"
