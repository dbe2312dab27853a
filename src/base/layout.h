/* Where a function lies: see layout.ld. Most of a room is needed by processes that lock, contend or
 * find something; a function of such a file that every process runs when it starts, forks or
 * changes its environment is marked and lies with the hooks. In the files that lie there, a function that few processes
 * run is marked and lies with the others.
 */
#ifndef RACESHIM_BASE_LAYOUT_H
#define RACESHIM_BASE_LAYOUT_H

#define EVERY_PROCESS __attribute__((section(".text.startup")))
#define FEW_PROCESSES __attribute__((cold))

/* What takes some nanoseconds and is called all the time begins a line of the processor's cache: or any change elsewhere could
 * make it a fourth slower. */
#define ALL_THE_TIME __attribute__((aligned(64)))

#endif
