/* Memory for the values of records: hundreds of small pieces for each of them, taken and given back in turn.
 *
 * A piece that is given back goes to the next one of its size, without a look at its neighbours. Memory is
 * not returned to the system; there is as much as the largest number of values at a time.
 */
#ifndef RACESHIM_TOOLS_POOL_H
#define RACESHIM_TOOLS_POOL_H

/* From here on jansson takes its memory there. To be called before anything else of jansson. */
void pool_serve_jansson(void);

/* What json_dumps has returned, wherever jansson takes its memory. */
void pool_give_text(char *text);

#endif
