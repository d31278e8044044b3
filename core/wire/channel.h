/* channel.h: frames over a socketpair on the loop, and the child process at its other end.
 * Thread: loop thread. Callbacks never come from inside a call to the channel.
 */
#ifndef STANCH_WIRE_CHANNEL_H
#define STANCH_WIRE_CHANNEL_H
#include "base/loop.h"
#include "wire/frame.h"

struct stanch_channel;

struct stanch_channel_events {
    /** One frame. head: borrowed; attachment: borrowed, for the time of the call. fd: a descriptor that came
     *  along (taken), or -1. */
    void (*on_frame)(void *ctx, const json_t *head, const void *attachment, size_t len, int fd);
    /** The channel is over: the peer closed (code 0; inside a frame: STANCH_E_CRASHED), or broke the protocol
     *  (STANCH_E_PROTOCOL), or the system failed. Called once, never after stanch_channel_close. No frame comes after it. */
    void (*on_closed)(void *ctx, const struct stanch_err *why);
};

/** Take a connected stream socket. fd: taken, also on error. passes_fds: descriptors may come along. ret: new. */
int stanch_channel_open(struct stanch_loop *loop, int fd, int passes_fds, const struct stanch_channel_events *events,
                        void *ctx, struct stanch_channel **ret, struct stanch_err *err);
/** Queue one frame; it is written when the peer reads. returns 0 | STANCH_E_TOO_LARGE | STANCH_E_BUSY (more than
 *  64 MiB wait: the peer does not read) | STANCH_E_CRASHED (closed) */
int stanch_channel_send(struct stanch_channel *channel, const json_t *head, const void *attachment, size_t len,
                        struct stanch_err *err);
/** Bytes that wait to be written. */
size_t stanch_channel_queued(const struct stanch_channel *channel);
/** End it; what is queued may be lost; no callback comes any more. Frees. Accepts NULL. */
void stanch_channel_close(struct stanch_channel *channel);

/* A child process: another subcommand of this executable, with its channel on descriptor 3. */
struct stanch_child;
struct stanch_child_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is the executable's path */
    const char *const *env;  /* NULL-terminated "NAME=value"; NULL: an empty environment */
    const int *pass_fds;     /* become 4, 5, ... in the child; borrowed */
    int pass_count;
    int passes_fds; /* as in stanch_channel_open */
};
struct stanch_child_events {
    struct stanch_channel_events channel;
    /** The process ended. status: exit code, or 128 + signal. Called once, after on_closed or without it. */
    void (*on_exit)(void *ctx, int status);
};
/** Start it. ret: new. returns 0 | STANCH_E_SYSTEM */
int stanch_child_start(struct stanch_loop *loop, const struct stanch_child_spec *spec,
                       const struct stanch_child_events *events, void *ctx, struct stanch_child **ret,
                       struct stanch_err *err);
struct stanch_channel *stanch_child_channel(struct stanch_child *child);
int stanch_child_pid(const struct stanch_child *child);
/** SIGKILL to the child's process group. on_exit still comes. */
void stanch_child_kill(struct stanch_child *child);
/** Let go: closes the channel, kills when it still lives, reaps in the background; no callback comes any more.
 *  Accepts NULL. */
void stanch_child_free(struct stanch_child *child);

/** Let go of one that ends by itself when its channel closes: as stanch_child_free, but it is not killed. */
void stanch_child_leave(struct stanch_child *child);
/** As stanch_child_leave, and it is not waited for either: for the end of this process, which it may outlive. Nobody here reaps it. */
void stanch_child_abandon(struct stanch_child *child);

/** The path of the running executable, for argv[0]. new. */
char *stanch_self_path(void);

#endif
