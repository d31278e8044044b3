/* range.c: the good and the bad range of a symptom. */
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

int stanch_range_holds(const char *range, double value, struct stanch_err *err)
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
    if (isnan(value)) /* PROMISES.md 1.16: no data is neither good nor bad */
        return stanch_err_set(err, STANCH_E_INVALID, "the value is not a number");
    return value < limit ? signs[which].below : value > limit ? signs[which].above : signs[which].equal;
}
