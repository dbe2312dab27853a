/* The formats of a report. One row here, one function NAME_write in the report room. */
#ifndef RACESHIM_TOOLS_FORMATS_H
#define RACESHIM_TOOLS_FORMATS_H

#define FORMATS(FORMAT)                                                                            \
    FORMAT(text)                                                                                   \
    FORMAT(json)                                                                                   \
    FORMAT(github)                                                                                 \
    FORMAT(junit)                                                                                  \
    FORMAT(sarif)                                                                                  \
    FORMAT(html)                                                                                   \
    FORMAT(trace)

/* " text json ...", for messages */
#define FORMAT_WORD(name) " " #name
#define FORMAT_NAMES FORMATS(FORMAT_WORD)

#endif
