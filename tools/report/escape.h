/* Text as another format wants it. What comes in was printed by the functions of show.h, so it is
 * UTF-8 without control characters, but for the line ends that they put there. */
#ifndef RACESHIM_TOOLS_ESCAPE_H
#define RACESHIM_TOOLS_ESCAPE_H

#include "record.h"

#include <stdio.h>

/* As content and as the value of an attribute, of XML and of HTML. */
void escape_xml(FILE *file, const char *text);

/* Where Markdown is read: no character but letters, digits and blanks keeps a meaning. */
void escape_markdown(FILE *file, const char *text);

/* The message of a workflow command of GitHub's, and a property of it. */
void escape_command(FILE *file, const char *text);
void escape_command_property(FILE *file, const char *text);

/* A path of the record's as a part of a URI, for the caller to free: its very bytes, those of RAW_BYTE
 * too. */
char *escape_uri_path(struct string path);

#endif
