/* record.h: a run that happened, as `runbook record` takes it apart and writes it down again.
 *
 *   run, timeline --record.c--> what is to be said --record_lua.c--> text of a test
 *                 \--record_world.c--> what each plugin answered, in turn
 */
#ifndef STANCH_CLI_RECORD_H
#define STANCH_CLI_RECORD_H
#include "base/buf.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct stanch_cli__record {
    const json_t *run; /* as the API gives it; borrowed */
    const char *id;    /* borrowed from run */
    json_t *steps;     /* id -> {"op","args", and marks of how far it came} */
    json_t
        *questions;  /* in order: {"id","about","role","outcome","at_ms","action"?,"left_out"?,"said":{person:{...}}} */
    json_t *replies; /* "name op args" -> {"name","op","args","list":[reply]}, in order of the first */
    json_t *mitigations; /* id -> {"name","instance","action","args"} of this run */
    json_t *changes;     /* id -> a change that the run was told of */
    json_t *actions;     /* what came into the world: {"name","args"} */
    json_t *notes, *pages, *in_force;
    json_t *left_out;              /* texts: what a test cannot hold */
    char undone_by[80];            /* who answered "undo" when the run had ended; "": nobody */
    int64_t ended_ms, resolved_ms; /* 0: not */
};

/* record_world.c */
/** What an entry of the run tells of plugins. entry: borrowed. */
void stanch_cli__record_plugins(struct stanch_cli__record *record, const json_t *entry);
/** Is the question one that the policy asks, or that the run itself puts? One that only the state outside of the run caused (a hold, a
 *  stop, a limit that others used up, a runbook that nobody had accepted) is not asked in a test. */
bool stanch_cli__is_of_policy(const json_t *question);

/* record_lua.c: Lua, as text. Keys are sorted; whatever the bytes are, it is read back as it was, and safe on a terminal. */
void stanch_cli__lua_text(const char *text, size_t len, struct stanch_buf *out);
void stanch_cli__lua_value(const json_t *value, struct stanch_buf *out);
/** ms as a duration in quotes */
void stanch_cli__lua_duration(int64_t ms, struct stanch_buf *out);
/** The whole test. started: {"alerts"|"starts"|"changes": ...} comes from record.run. several: its event started other runs too */
void stanch_cli__lua_test(const struct stanch_cli__record *record, bool several, struct stanch_buf *out);

#endif
