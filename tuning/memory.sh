#!/usr/bin/env bash
# Memory: no page moves under a running engine.
#
# The engine takes its memory at the start, touches all of it and locks it. What is left to go
# wrong is the kernel tidying up: building huge pages in the middle of a fault, compacting, merging
# equal pages, writing counters of every core once a second.
. "$(dirname "$0")/common.sh"

knobs() {
    local thp=/sys/kernel/mm/transparent_hugepage vm=/proc/sys/vm
    knob $thp/enabled madvise "Huge pages where asked for, not as a surprise."
    knob $thp/defrag madvise "A page fault must not compact memory."
    knob $thp/khugepaged/defrag 0 "Nor may a thread in the background."
    knob $vm/compaction_proactiveness 0 "The same."
    knob $vm/swappiness 1 "Nothing of ours is to go to disk."
    knob $vm/stat_interval 120 "Each core's counters are gathered less often: fewer wake-ups."
    knob /sys/kernel/mm/ksm/run 0 "Merging equal pages makes the next write a fault."
}

tune "$@"
