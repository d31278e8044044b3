/* log.c: one line to stderr, written with a single write so that lines of several processes do not mix. */
#include "base/log.h"
#include "base/buf.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_level = STANCH_LOG_INFO; /* the log sink: the one mutable global (STYLE 6) */

void stanch_log_set_level(enum stanch_log_level level)
{
    atomic_store(&log_level, (int)level);
}

static const char *const level_words[] = {"error", "warn", "info", "debug"};

void stanch_log_level_from_env(void)
{
    const char *word = getenv("STANCH_LOG");
    for (int i = 0; word && i < 4; i++)
        if (strcmp(word, level_words[i]) == 0)
            atomic_store(&log_level, i);
}

void stanch_log(enum stanch_log_level level, const char *area, const char *fmt, ...)
{
    if ((int)level > atomic_load(&log_level))
        return;
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);

    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    STANCH_AUTO_BUF struct stanch_buf line = {0};
    stanch_buf_printf(&line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s ", utc.tm_year + 1900, utc.tm_mon + 1,
                      utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000, level_words[level],
                      area);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            stanch_buf_printf(&line, "\\x%02x", *p);
        else
            stanch_buf_char(&line, (char)*p);
    }
    stanch_buf_char(&line, '\n');
    ssize_t ignored = write(STDERR_FILENO, line.data, line.len);
    (void)ignored;
}
