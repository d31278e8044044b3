/* check.c: what a CHECK found, row by row. */
#include "inside.h"
#include <stdlib.h>

void sdk_check(struct sdk_call *call, const char *name, bool ok, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = sdk__vformat(fmt, args);
    va_end(args);
    if (!call->checks)
        call->checks = sdk_hold(call, json_array());
    json_t *said = json_string(text);
    json_array_append_new(call->checks, json_pack("{s:s, s:b, s:o}", "name", name, "ok", ok, "text",
                                                  said ? said : json_string("(a text that is not UTF-8)")));
    free(text);
}

bool sdk_check_http(struct sdk_call *call, const char *name, const struct sdk_http_answer *answer)
{
    bool ok = answer->ended == STANCH_HTTP_ANSWERED && answer->status >= 200 && answer->status <= 299;
    if (ok)
        sdk_check(call, name, true, "answered %u", answer->status);
    else
        sdk_check(call, name, false, "%s", sdk__http_meaning(call, answer));
    return ok;
}

void sdk_checked(struct sdk_call *call)
{
    json_t *checks = call->checks ? json_incref(call->checks) : json_array(), *one;
    size_t i;
    bool ok = true;
    json_array_foreach(checks, i, one) ok = ok && json_is_true(json_object_get(one, "ok"));
    sdk_done(call, json_pack("{s:b, s:o}", "ok", ok, "checks", checks));
}
