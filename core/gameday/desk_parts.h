/* desk_parts.h: the desk as its own files share it. Inside gameday/ only.
 * Files    desk.c (what may begin, what ends it, start to free), play.c (one drill: its process, its pages, how it ends).
 */
#ifndef STANCH_GAMEDAY_DESK_PARTS_H
#define STANCH_GAMEDAY_DESK_PARTS_H
#include "gameday/desk.h"
#include "timeline/journal.h"
#include "wire/channel.h"
#include <stdbool.h>

struct stanch_page_out; /* a page of a drill that is with an instance */

/* A drill that is under way. */
struct stanch_play {
    struct stanch_play *next;
    struct stanch_desk *desk;
    struct stanch_child *child;
    char id[32], name[200], kind[16], by[160];
    int speed;
    int port;           /* where it listens; 0: on its socket only */
    bool was_announced; /* it has a document already */
    bool is_up;         /* drill.started was appended */
    bool is_ending;     /* it was told to end */
    bool is_over;       /* how it ended is appended */
    bool is_after;      /* its process died: another one puts away what it left, for which `why` is why it ended */
    char commit[65];    /* the runbooks that it is played from */
    char why[400];      /* why it ends, or could not begin */
    struct stanch_timer *late;
    stanch_desk_done done; /* who waits for its beginning; NULL: nobody */
    void *ctx;
    stanch_desk_done on_end; /* who waits for its end */
    void *end_ctx;
};

struct stanch_desk {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_follower *follower;
    char *exe, *config_path, *plugin_dir, *state_dir, *socket, *listen, *url;
    char proxy_hash[65];
    const json_t *via;
    struct stanch_desk_port port;
    struct stanch_play *plays;
    struct stanch_page_out *pages;
    bool is_halted;
};

/* play.c */
/** Start its process. play: in the desk's list afterwards; not there on error. */
int stanch_play__start(struct stanch_play *play, struct stanch_err *err);
/** It is over, and its process died: have another one put away what it left (play->why: why it is over), then say so. What cannot be is
 *  said, too. Takes play, which may be in the desk's list. */
void stanch_play__put_away(struct stanch_play *play);
/** Tell it to end; when it does not, it is killed. Only the first why counts. */
void stanch_play__end(struct stanch_play *play, const char *why);
/** Have it read the people file again. One that cannot be told is ended. */
void stanch_play__reload(struct stanch_play *play);
/** The process ends by itself; nothing of it is heard any more. Who waits is told. Frees. */
void stanch_play__leave(struct stanch_play *play);
/** Is it for people? */
bool stanch_play__is_live(const struct stanch_play *play);
void stanch_page__forget_all(struct stanch_desk *desk);

/* desk.c */
/** An entry about a drill. data: taken; "drill", "name" and "kind" are added. done: called when it is committed, with the document; NULL:
 *  nobody waits */
void stanch_desk__append(struct stanch_play *play, const char *kind, json_t *data, stanch_desk_done done, void *ctx);

#endif
