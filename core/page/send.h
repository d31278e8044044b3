/* send.h: what whoever tells people through an instance has in common, whether of questions (this folder) or of drills (gameday/).
 * Its functions are in card.c.   Thread: any.
 */
#ifndef STANCH_PAGE_SEND_H
#define STANCH_PAGE_SEND_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** Has a described instance the notice `send`, which takes event, key, summary, severity, link and details? */
bool stanch_page_sends(const json_t *described);
/** A text, cut where a character begins. new */
json_t *stanch_page_text(const char *text, size_t max);
/** Where people look: "URL/place/id". url: of the section `paging`, may be NULL; id: may be NULL. new, or NULL: there is no url */
json_t *stanch_page_link(const char *url, const char *place, const char *id);

#endif
