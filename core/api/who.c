/* who.c: who is at the other end, and may it? The one decision of the doors; whether a person holds the role that a question
 * is for is decided with the question (run/).
 *
 *   no people file:  over the Unix socket whoever may open it, called as the machine's list of users does; over TCP nobody
 *   a people file:   over the Unix socket the person with the peer's uid; over TCP whom a trusted proxy has signed on; anywhere
 *                    the holder of a bearer token; nobody else
 */
#include "api/room.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/user.h"
#include <string.h>
#include <strings.h>

/* The token of "Authorization: Bearer TOKEN" (RFC 6750); NULL: there is none. */
static const char *bearer(const struct stanch_api__call *call)
{
    const char *header = stanch_http_header(call->request, "authorization");
    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    return header + 7 + strspn(header + 7, " ");
}

static int identify_unlisted(struct stanch_api__call *call, struct stanch_err *err)
{
    if (!stanch_http_is_local(call->request))
        return stanch_err_set(err, STANCH_E_FORBIDDEN,
                              "%s %s is answered only over the Unix socket: there is no people file, so over TCP there "
                              "are events, health and metrics",
                              call->route->method, call->route->pattern);
    stanch_user_name(STANCH_USER_LIST, stanch_http_peer_uid(call->request), call->who.name);
    call->who.may = STANCH_MAY_ADMIN;
    return 0;
}

/* Whom the proxy has signed on. returns 0 | 1: the request does not come through it, or it names nobody */
static int identify_signed_on(struct stanch_api__call *call, struct stanch_err *err)
{
    const struct stanch_api *api = call->api;
    const char *secret = stanch_http_header(call->request, "x-stanch-proxy");
    const char *user = stanch_http_header(call->request, api->proxy_user);
    char hash[65];
    if (!secret || !api->proxy_hash[0])
        return 1;
    stanch_token_hash(secret, hash);
    if (!stanch_secret_equal(hash, 64, api->proxy_hash, 64))
        return stanch_err_set(err, STANCH_E_UNAUTHORIZED, "X-Stanch-Proxy is not the proxy's secret");
    if (!user || !*user)
        return 1;
    stanch_people_called(api->people, user, call->who.name);
    if (!call->who.name[0])
        return stanch_err_set(err, STANCH_E_FORBIDDEN, "\"%.100s\" has signed on, and is nobody in the people file",
                              user);
    call->who.may = stanch_people_may(api->people, call->who.name);
    return 0;
}

static int identify(struct stanch_api__call *call, struct stanch_err *err)
{
    const struct stanch_people *people = call->api->people;
    const char *token = bearer(call);
    if (!people)
        return identify_unlisted(call, err);
    if (token)
        return stanch_people_by_token(people, token, stanch_loop_wall_ms(call->api->loop), &call->who, err);
    if (stanch_http_is_local(call->request))
        return stanch_people_by_uid(people, stanch_http_peer_uid(call->request), &call->who, err);
    int rc = identify_signed_on(call, err);
    if (rc <= 0)
        return rc;
    return stanch_err_set(err, STANCH_E_UNAUTHORIZED, "%s %s needs a token: \"Authorization: Bearer %s...\"",
                          call->route->method, call->route->pattern, STANCH_TOKEN_PREFIX);
}

static int refuse(struct stanch_api__call *call, const struct stanch_err *err)
{
    STANCH_AUTO_FREE char *what = stanch_asprintf("%s %s", call->route->method, call->route->pattern);
    stanch_flow_note_refused(call->api->flow, call->who.name, what, stanch_http_remote(call->request), err);
    return err->code;
}

int stanch_api__require(struct stanch_api__call *call, enum stanch_may needs, const char *with, struct stanch_err *err)
{
    if (call->who.may >= needs || stanch_is_sabotaged("needs-ignored"))
        return 0;
    stanch_err_set(err, STANCH_E_FORBIDDEN, "%s may %s here, and %s %s%s is for who may %s", call->who.name,
                   stanch_may_word(call->who.may), call->route->method, call->route->pattern, with,
                   stanch_may_word(needs));
    return refuse(call, err);
}

int stanch_api__authorize(struct stanch_api__call *call, struct stanch_err *err)
{
    enum stanch_may needs = call->route->needs;
    if (needs == STANCH_MAY_NOTHING)
        return 0;
    if (identify(call, err) != 0)
        return refuse(call, err);
    return stanch_api__require(call, needs, "", err);
}

int stanch_api__authorize_source(struct stanch_api__call *call, struct stanch_err *err)
{
    const char *token = bearer(call);
    if (!call->api->people || !token || strncmp(token, STANCH_TOKEN_PREFIX, strlen(STANCH_TOKEN_PREFIX)) != 0)
        return 0;
    int64_t now = stanch_loop_wall_ms(call->api->loop);
    if (stanch_people_by_token(call->api->people, token, now, &call->who, err) != 0)
        return refuse(call, err);
    if (strcmp(call->who.source, call->parts[0]) == 0)
        return 0;
    call->who.source[0] = 0;
    stanch_err_set(err, STANCH_E_FORBIDDEN, "%s is not for events of the source \"%.64s\"", call->who.name,
                   call->parts[0]);
    return refuse(call, err);
}

void stanch_api__whoami(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *value =
        json_pack("{s:s, s:s}", "name", call->who.name, "may", stanch_may_word(call->who.may));
    stanch_api__answer(call, value);
}

void stanch_api__people(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *value =
        call->api->people ? stanch_people_list(call->api->people) : json_pack("{s:[], s:[]}", "people", "tokens");
    stanch_api__answer(call, value);
}
