/* people.c: who there is, who asks, and new tokens. */
#include "cli/room.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

#define TOKEN_BYTES 32
#define KEEP        "90d"

static int run_people(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *told = NULL;
    int rc = stanch_cli__get(cli, "/v1/people", &told);
    if (rc != 0 || stanch_cli__said_json(cli, told))
        return rc;
    struct stanch_cli__table *people = stanch_cli__table_new("PERSON NAME MAY ROLES");
    struct stanch_cli__table *tokens = stanch_cli__table_new("TOKEN PERSON MAY EVENTS-OF EXPIRES");
    json_t *each;
    size_t i;
    json_array_foreach(json_object_get(told, "people"), i, each)
        stanch_cli__table_row(people, each, "name title may roles");
    stanch_cli__table_print(cli, people, "there is no people file: whoever may open the socket may do all");
    json_array_foreach(json_object_get(told, "tokens"), i, each)
        stanch_cli__table_row(tokens, each, "name person may source expires");
    if (json_array_size(json_object_get(told, "tokens")))
        stanch_cli__say(cli, "\n");
    stanch_cli__table_print(cli, tokens, "");
    return 0;
}

static int run_whoami(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *told = NULL;
    int rc = stanch_cli__get(cli, "/v1/whoami", &told);
    if (rc == 0 && !stanch_cli__said_json(cli, told))
        stanch_cli__show(cli, told, "name may");
    return rc;
}

static int read_expiry(struct stanch_cli *cli, int64_t *ret)
{
    const char *text = stanch_cli__value(cli, STANCH_CLI__EXPIRES);
    int64_t ms = 0, now = stanch_wall_now_ms();
    if (stanch_duration_parse(text ? text : KEEP, &ms, NULL) == 0)
        *ret = now + ms;
    else if (stanch_time_parse(text, ret, NULL) != 0 || *ret <= now)
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "--expires \"%.40s\": expected a duration like 90d, or a time to come like "
                              "2027-03-01T00:00:00Z",
                              text);
    return 0;
}

static bool is_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    return len > 0 && len <= 64 && !text[len] && !strchr("_-.", text[0]);
}

/* A token for events of a source is for nothing else. */
static int check_source(struct stanch_cli *cli, const char *source, const char *person, const char *may)
{
    if (!source)
        return 0;
    if (person || may)
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "--source: a token for events of a source is for nothing else: no --person, no --may");
    return is_name(source) ? 0
                           : stanch_err_set(&cli->err, STANCH_E_INVALID, "--source \"%.64s\" is not a name", source);
}

static int check_words(struct stanch_cli *cli, const char *name, const char *person, const char *may)
{
    static const char words[] = " read respond approve admin ";
    STANCH_AUTO_FREE char *wanted = stanch_asprintf(" %s ", may);
    if (!is_name(name) || (person && !is_name(person)))
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "\"%.64s\" is not a name; use letters, digits, _ - and ., at most 64",
                              is_name(name) ? person : name);
    if (!strstr(words, wanted) || strchr(may, ' '))
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--may \"%.20s\": there is read, respond, approve, admin",
                              may);
    if (!person && (strcmp(may, "approve") == 0 || strcmp(may, "admin") == 0))
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "--may %s needs --person NAME: people decide, programs do not", may);
    return 0;
}

/* Made here and shown once; the daemon only ever sees its hash in the people file (people/people.h). */
static int run_token(struct stanch_cli *cli)
{
    const char *name = cli->args[0], *person = stanch_cli__value(cli, STANCH_CLI__PERSON);
    const char *may = stanch_cli__value(cli, STANCH_CLI__MAY), *source = stanch_cli__value(cli, STANCH_CLI__SOURCE);
    unsigned char noise[TOKEN_BYTES];
    char secret[2 * TOKEN_BYTES + 1], hash[65], expires[32];
    int64_t expires_ms = 0;
    int rc = check_source(cli, source, person, may);
    may = may ? may : person ? "approve" : "read";
    rc = rc ? rc : check_words(cli, name, person, may);
    rc = rc ? rc : read_expiry(cli, &expires_ms);
    if (rc != 0)
        return rc;
    stanch_random_bytes(noise, sizeof noise);
    stanch_hex(noise, sizeof noise, secret);
    STANCH_AUTO_FREE char *token = stanch_asprintf("stanch_%s", secret);
    stanch_digest_hex(token, strlen(token), hash);
    stanch_time_text(expires_ms / 1000 * 1000, expires);
    STANCH_AUTO_FREE char *of = source   ? stanch_asprintf(" source = \"%s\",", source)
                                : person ? stanch_asprintf(" person = \"%s\", may = \"%s\",", person, may)
                                         : stanch_asprintf(" may = \"%s\",", may);
    STANCH_AUTO_FREE char *line =
        stanch_asprintf("token \"%s\" {%s expires = \"%s\", hash = \"%s\" },", name, of, expires, hash);
    STANCH_AUTO_JSON json_t *made = json_pack("{s:s, s:s, s:s}", "token", token, "hash", hash, "line", line);
    if (!stanch_cli__said_json(cli, made))
        stanch_cli__say(cli,
                        "%s\n\nThis is the token; it is shown this once. Into people { ... } of the people file, then "
                        "restart stanch:\n\n  %s\n",
                        token, line);
    return 0;
}

const struct stanch_cli__command stanch_cli__people_commands[] = {
    {"people", NULL, "", 0, 0, "", "who there is, and what each may do", run_people},
    {"whoami", NULL, "", 0, 0, "", "who you are here, and what you may do", run_whoami},
    {"token", "new", "NAME", 1, 1, "person may source expires", "make a token, and its line for the people file",
     run_token},
    {0},
};
