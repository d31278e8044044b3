/* effects_remote.h: the "remote" of the effects plugin: files that outlive the host, and a file that tells it
 * to misbehave. */
#ifndef STANCH_TEST_EFFECTS_REMOTE_H
#define STANCH_TEST_EFFECTS_REMOTE_H
#include <stdbool.h>
#include <stdint.h>

/** The value of a target; 0 when it was never set. */
int64_t remote_get(const char *state_path, const char *target);
/** An effect: value, operation and key come into the file in one write, so that a host that is killed leaves all of
 * it or nothing, as a real remote would. */
void remote_change(const char *state_path, const char *target, int64_t value, const char *op, const char *action,
                   const char *key);
/** Whether the remote has seen that idempotency key. */
bool remote_has_key(const char *state_path, const char *key);
/** Append one line to the effect log, in one write. */
void remote_log(const char *log_path, const char *line);

/** The misbehaviour that is wanted for an operation ("apply") of an action, or "". number: what follows it. A
 * line with `once` is taken out of the file. ret: 64 bytes */
void behaviour_read(const char *path, const char *action, const char *op, char ret[64], int64_t *ret_number);

#endif
