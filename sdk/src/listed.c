/* listed.c: what the operator's lists allow. */
#include "inside.h"
#include <fnmatch.h>
#include <string.h>

static bool is_listed(const json_t *list, const char *value)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        const char *pattern = json_string_value(one);
        if (pattern && fnmatch(pattern, value, 0) == 0)
            return true;
    }
    return false;
}

/* The list's only name; NULL when it has several, or a pattern. */
static const char *only_name(const json_t *list)
{
    const char *name = json_string_value(json_array_get(list, 0));
    return json_array_size(list) == 1 && name && !strpbrk(name, "*?[\\") ? name : NULL;
}

const char *sdk_arg_listed(struct sdk_call *call, const char *name, const char *list, const char *otherwise)
{
    const json_t *names = json_object_get(sdk_settings(sdk_instance(call)), list);
    const char *value = sdk_arg_str(call, name, names ? only_name(names) : otherwise);
    if (!value)
        sdk_fail(call, "invalid", "%s: missing; it must be said, since the setting %s does not name exactly one", name,
                 list);
    else if (names ? is_listed(names, value) : !otherwise || strcmp(value, otherwise) == 0)
        return value;
    else
        sdk_fail(call, "refused", "%s: \"%s\" is not allowed by the setting %s of this instance", name, value, list);
    return NULL;
}
