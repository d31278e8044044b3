/* log.h: what happened to the daemon (what happened to an incident is in the timeline).
 * One line a message on stderr: `level area message key=value ...`. Secrets never: every text passes the
 * scrubber, which knows the process's secrets. Thread: any.
 */
#ifndef STANCH_BASE_LOG_H
#define STANCH_BASE_LOG_H

enum stanch_log_level { STANCH_LOG_ERROR, STANCH_LOG_WARN, STANCH_LOG_INFO, STANCH_LOG_DEBUG };

/** Levels above `level` are dropped. Default: INFO; the environment's STANCH_LOG=debug|info|warn|error. */
void stanch_log_set_level(enum stanch_log_level level);
void stanch_log_level_from_env(void);
/** Write one line. `fmt` gives message and key=value pairs; control characters are written as \xNN. */
void stanch_log(enum stanch_log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
