/* range.c: the good and the bad range of a symptom, and which way is worse. */
#include "rule/match.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *sign;
    bool below, equal, above;
} signs[] = {
    /* the longer ones first */
    {">=", false, true, true}, {"<=", true, true, false}, {"==", false, true, false},
    {"!=", true, false, true}, {">", false, false, true}, {"<", true, false, false},
};

/* ret_which: of signs. returns 0 | STANCH_E_INVALID */
static int parse(const char *range, size_t *ret_which, double *ret_limit, struct stanch_err *err)
{
    size_t which = 0, count = sizeof signs / sizeof *signs;
    while (which < count && strncmp(range, signs[which].sign, strlen(signs[which].sign)) != 0)
        which++;
    if (which == count)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%.40s\" is not a range; write it like > 0.05, <= 10 or == 0",
                              range);
    const char *number = range + strlen(signs[which].sign);
    number += strspn(number, " ");
    char *end = NULL;
    double limit = strtod(number, &end);
    bool plain = strspn(number, "0123456789+-.eE") == strlen(number);
    if (!plain || end == number || *end || !isfinite(limit))
        return stanch_err_set(err, STANCH_E_INVALID, "\"%.40s\" is not a range: \"%.30s\" is not a number", range,
                              number);
    *ret_which = which;
    *ret_limit = limit;
    return 0;
}

int stanch_range_holds(const char *range, double value, struct stanch_err *err)
{
    size_t which;
    double limit;
    int rc = parse(range, &which, &limit, err);
    if (rc < 0)
        return rc;
    if (isnan(value)) /* PROMISES.md 1.16: no data is neither good nor bad */
        return stanch_err_set(err, STANCH_E_INVALID, "the value is not a number");
    return value < limit ? signs[which].below : value > limit ? signs[which].above : signs[which].equal;
}

bool stanch_range_is_worse(const char *bad, double before, double after)
{
    struct stanch_err err;
    size_t which;
    double limit;
    if (parse(bad, &which, &limit, &err) < 0 || isnan(before) || isnan(after))
        return false;
    double further = signs[which].above ? after - before : before - after;
    if (signs[which].above == signs[which].below)
        further = (fabs(after - limit) - fabs(before - limit)) * (signs[which].above ? 1 : -1);
    return further > STANCH_WORSE_BY * fmax(fabs(before), fabs(limit));
}
