/* launch.h: the process `stanch plugin-launch`: runs the commands of one instance, for its host, which may start no
 * process itself. Its channel to core is descriptor 3, the link to the host 4, the lock 5. Included by launch_*.c only.
 *
 *   core --open: which commands, where--> launch <--run, end-- host
 *                                               --ended-->
 *
 * Frames from core: "open" {"commands":["/abs/path"],"dir":path}. From the host: "run" {"id","command","args":[],
 * "env":{},"deadline_ms","grace_ms","max_output","is_cut_ok"}, the attachment is its standard input; "end" {"id"}.
 * To the host: "ended" {"id","how":STANCH_RUN_*,"code","cut","out":bytes of the attachment that are standard output,
 * the rest is standard error,"why"}. To core: "group" {"pid"} when a command was started, "gone" {"pid"} when it and its
 * group are.
 * Thread: the loop thread.
 */
#ifndef STANCH_PLUGIN_LAUNCH_H
#define STANCH_PLUGIN_LAUNCH_H
#include "base/buf.h"
#include "wire/channel.h"
#include <stdbool.h>

#define STANCH_LAUNCH_MAX_RUNS 8

struct stanch_launch_run;

struct stanch_launch {
    struct stanch_loop *loop;
    struct stanch_channel *core, *link;
    json_t *commands; /* {"/abs/path":true} */
    char *dir;
    int lock_fd; /* -1: none */
    struct stanch_launch_run *runs;
    int count;
};

/** A "run" frame. */
void stanch_launch__run(struct stanch_launch *launch, const json_t *head, const void *input, size_t len);
/** The host wants no answer any more: SIGTERM now, SIGKILL after the grace. */
void stanch_launch__end(struct stanch_launch *launch, int64_t id);
/** At the very end: SIGKILL to all groups, and to whatever else is left of the commands. */
void stanch_launch__kill_all(struct stanch_launch *launch);

#endif
