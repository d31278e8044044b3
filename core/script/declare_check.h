/* declare_check.h: the check of what was declared, by tables of keys: which there are, their type, default, meaning.
 * The same tables make the reference in DECLARATIONS.md (a test holds the two together).
 *
 *   Lua table --section of keys--> JSON + errors, each with file, line of the block and key path
 *
 * Reads tables with raw access only, runs nobody's code, never raises: JSON may be owned in C locals.
 * Inside script/ only. Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_DECLARE_CHECK_H
#define STANCH_SCRIPT_DECLARE_CHECK_H
#include "script/declare_block.h"
#include <jansson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stanch_check {
    lua_State *L;
    json_t *errors;   /* array of {"file","line","path","text"}; shared */
    json_t *warnings; /* the same, or NULL: nobody reads them */
    char file[256];
    int line;
    char root[160]; /* the block: `runbook "x"`; "" at the top */
    char path[320]; /* the key inside of it: "limits.at_most" */
};

struct stanch_key;
/** Read the value at `idx` (absolute, not nil) into `into`, or say what is wrong with it. */
typedef void (*stanch_read_fn)(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);

struct stanch_key {
    const char *name; /* in Lua; NULL: the end of the section */
    const char *json; /* in the data; NULL: the same */
    stanch_read_fn read;
    const void *more;      /* what `read` needs: words, bounds, a section */
    const char *otherwise; /* the default, as JSON of the Lua value; "null": null; NULL: left out */
    bool is_required;
    const char *type;    /* for the reference */
    const char *meaning; /* for the reference */
};
struct stanch_section {
    const char *title; /* of its table in the reference */
    const struct stanch_key *keys;
};
struct stanch_bounds {
    double min, max;
};

/** All sections, NULL at the end: what DECLARATIONS.md must hold. */
const struct stanch_section *const *stanch_declare_sections(void);
/** new; the table of a section as Markdown, as it stands in DECLARATIONS.md. */
char *stanch_declare_markdown(const struct stanch_section *section);

/* Saying. */
void stanch_check_fail(struct stanch_check *check, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void stanch_check_warn(struct stanch_check *check, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** "expected WHAT, not VALUE"; says it with the value at `idx`. */
void stanch_check_expected(struct stanch_check *check, int idx, const char *what);
/** `name` is none of `names`: with a suggestion. what: "key", "action". */
void stanch_check_unknown(struct stanch_check *check, const char *name, const char *const *names, size_t count);

/* Moving. Each enter returns what leave takes. */
size_t stanch_check_enter(struct stanch_check *check, const char *key);
size_t stanch_check_enter_index(struct stanch_check *check, lua_Integer index);
void stanch_check_leave(struct stanch_check *check, size_t before);
/** Begin the block: its file and line; root: how messages call it, `%s "%s"` of word and name; NULL: as before. */
void stanch_check_block(struct stanch_check *check, const struct stanch_block *block, const char *word,
                        const char *name);

/* Reading. */
/** The text keys of the table at idx, sorted bytewise; those after `max` are dropped. borrowed from the table.
 *  returns the count */
size_t stanch_check_keys(lua_State *L, int idx, const char **ret, size_t max);
/** Check the table at idx against a section. has_list: members 1..n are read by the caller. */
void stanch_check_section(struct stanch_check *check, int idx, const struct stanch_section *section, bool has_list,
                          json_t *into);
/** Any data at idx. ret: new, or NULL: said what is wrong. */
json_t *stanch_check_data(struct stanch_check *check, int idx);
/** Text at idx: valid, without control characters, 1 to 1,000 bytes. returns borrowed, or NULL: said */
const char *stanch_check_text(struct stanch_check *check, int idx, const char *what);
/** A name: letters, digits, `_`, `-`, `.`; begins with a letter or digit; at most 64. The same. */
const char *stanch_check_name(struct stanch_check *check, int idx, const char *what);
/** returns false: said */
bool stanch_check_duration(struct stanch_check *check, int idx, int64_t *ret_ms);
/** The words of a list at idx into ret; returns false: said. */
bool stanch_check_is_list(lua_State *L, int idx);

/* Readers for tables of keys; `more` in brackets. */
void stanch_read_text(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_name(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_texts(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_word(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into); /* [words] */
void stanch_read_duration(struct stanch_check *check, int idx, const struct stanch_key *key,
                          json_t *into); /* [bounds, ms] */
/** "3/1h": {"count","within_ms"} [bounds of the time, ms] */
void stanch_read_rate(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_integer(struct stanch_check *check, int idx, const struct stanch_key *key,
                         json_t *into);                                                                   /* [bounds] */
void stanch_read_number(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into); /* [bounds] */
void stanch_read_boolean(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_section(struct stanch_check *check, int idx, const struct stanch_key *key,
                         json_t *into); /* [section] */
void stanch_read_secret(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_function(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);

extern const char *const stanch_words_risk[];     /* low, medium, high */
extern const char *const stanch_words_severity[]; /* sev1 .. sev4 */

/* The parts; each is a file. */
extern const struct stanch_section stanch_section_config, stanch_section_repository, stanch_section_incidents,
    stanch_section_severity, stanch_section_severity_source, stanch_section_limits, stanch_section_storm,
    stanch_section_approvals, stanch_section_checkpoints, stanch_section_proxy, stanch_section_paging,
    stanch_section_drills, stanch_section_plan, stanch_section_instance;
extern const struct stanch_section stanch_section_policy, stanch_section_approve, stanch_section_approver,
    stanch_section_rule, stanch_section_rung, stanch_section_break_glass, stanch_section_policy_limits,
    stanch_section_breaker, stanch_section_runbook_rule;
extern const struct stanch_section stanch_section_people, stanch_section_person, stanch_section_token,
    stanch_section_roles, stanch_section_role;
extern const struct stanch_section stanch_section_runbook, stanch_section_run_limits, stanch_section_alert,
    stanch_section_param, stanch_section_symptom;

void stanch_config_install(lua_State *L);
void stanch_config_check(struct stanch_check *check, json_t *ret);
void stanch_instance_install(lua_State *L);
void stanch_read_instances(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
/** Names of instances, each once; whether there are such is looked at when all is read. */
void stanch_read_listen(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_address(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_instances_named(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_breaker(struct stanch_check *check, int idx, const struct stanch_key *key,
                         json_t *into); /* [section] */
void stanch_policy_install(lua_State *L);
void stanch_policy_check(struct stanch_check *check, json_t *ret);
void stanch_people_install(lua_State *L);
void stanch_people_check(struct stanch_check *check, json_t *ret);
void stanch_runbook_install(lua_State *L);
/** Check the runbook block at idx (absolute). ret: the data of a runbook, but for path, line and digest. */
void stanch_runbook_check(struct stanch_check *check, int idx, json_t *ret);
void stanch_read_on(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_read_params(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
/** Warn of parameters that the runbook's `run` never looks at; only where that is certain (declare_unused.c). */
void stanch_check_unused(struct stanch_check *check, const json_t *params);
void stanch_read_symptom(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
void stanch_alert_install(lua_State *L);
void stanch_param_install(lua_State *L);
void stanch_symptom_install(lua_State *L);

#endif
