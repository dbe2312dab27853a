#include "lock/wait_graph.h"

#include <string.h>

bool wait_lock_conflicts(const struct wait_lock *want, const struct wait_lock *hold) {
    if (want->ino != hold->ino || want->dev != hold->dev || want->lock_class != hold->lock_class)
        return false;
    if (want->owner == hold->owner || (want->type == RANGE_READ && hold->type == RANGE_READ))
        return false;
    return want->lock_class == WAIT_FLOCK ||
           range_overlaps(want->range.start, want->range.end, hold->range.start, hold->range.end);
}

bool wait_graph_blocks(const struct wait_graph *graph, uint32_t v, const struct wait_lock *want,
                       struct wait_lock *hold) {
    for (uint32_t i = 0; graph->hold(graph->context, v, i, hold); i++)
        if (wait_lock_conflicts(want, hold))
            return true;
    return false;
}

/* Follows the parents from last back to start. */
static int write_path(const struct wait_graph *graph, uint32_t start, uint32_t last, uint32_t *path,
                      uint32_t max) {
    const uint16_t *parent = graph->scratch->parent;
    uint32_t length = 1;
    for (uint32_t at = last; at != start; at = parent[at])
        length++;
    uint32_t index = length;
    for (uint32_t at = last; index-- > 0; at = parent[at]) {
        if (index < max)
            path[index] = at;
        if (at == start)
            break;
    }
    return (int)length;
}

/* Breadth first, so that the cycle found is the shortest. Every parent entered the queue before its
 * children: whatever is read meanwhile, the way back ends. */
int wait_graph_cycle(const struct wait_graph *graph, uint32_t start, uint32_t *path, uint32_t max) {
    struct wait_graph_scratch *scratch = graph->scratch;
    uint32_t count = graph->count < WAIT_GRAPH_MAX ? graph->count : WAIT_GRAPH_MAX;
    if (start >= count)
        return 0;
    memset(scratch->seen, 0, sizeof scratch->seen);
    uint32_t tail = 0;
    scratch->queue[tail++] = (uint16_t)start;
    for (uint32_t head = 0; head < tail; head++) {
        uint32_t w = scratch->queue[head];
        struct wait_lock want;
        struct wait_lock hold;
        if (!graph->want(graph->context, w, &want))
            continue;
        for (uint32_t v = 0; v < count; v++) {
            uint64_t bit = UINT64_C(1) << (v % 64);
            if ((scratch->seen[v / 64] & bit) != 0 || !wait_graph_blocks(graph, v, &want, &hold))
                continue;
            if (v == start)
                return write_path(graph, start, w, path, max);
            scratch->seen[v / 64] |= bit;
            scratch->parent[v] = (uint16_t)w;
            scratch->queue[tail++] = (uint16_t)v;
        }
    }
    return 0;
}
