/* bench.h: a plugin on the bench: its whole code, called through the ABI, in a world whose every answer is the input.
 * A target is a table of scenarios (plugin_NAME.c); bench.c is the host, with bench_parts.h.
 *
 * The input is text:   a byte that picks the scenario, the rest of that line (a remark), then what comes from outside,
 * one thing after the other, with lines of "%%" between them:
 *
 *   HTTP 429                a status and headers, then an empty line, then the body of an answer
 *   retry-after: 3
 *
 *   LOST | REFUSED          the answer did not come; the connection was not made
 *   EXIT 3                  a line, then what a command printed
 *   anything else           the body of an answer with status 200; what a socket said
 *
 * Of a source's scenario the first thing is the post: lines of headers, an empty line, the body. The HMAC of every text
 * is 32 times the byte 0xab there, so that an input can carry a good signature.
 */
#ifndef STANCH_TESTS_FUZZ_BENCH_H
#define STANCH_TESTS_FUZZ_BENCH_H
#include "fuzz.h"

struct bench_scenario {
    const char *action; /* or the source; NULL ends the table */
    const char
        *ops; /* one after the other: "plan apply verify undo reconcile", "read", "receive", "check". The plan that
                         * is given to those behind it is the one that `plan` answered with */
    const char *args;     /* JSON; NULL: {} */
    const char *settings; /* JSON; NULL: those of the bench */
};
struct bench {
    const char *settings; /* JSON, without secrets */
    const char *secrets;  /* JSON {"token":"value"} */
    const struct bench_scenario *scenarios;
};
/** Each target has one. */
extern const struct bench bench;

#endif
