/* alert.h: one alert of Alertmanager's webhook as an event.
 * Flow   alertmanager.c takes the post apart -> [alert] -> events.
 * Source Alertmanager 0.25 template/template.go and notify/webhook/webhook.go; bodies captured from it.
 */
#ifndef ALERTMANAGER_ALERT_H
#define ALERTMANAGER_ALERT_H
#include "stanch/sdk.h"

/** Fill an event from alerts[index]; its texts live as long as the call. returns NULL, or what is wrong and where:
 *  alerts[2].startsAt: "yesterday" is not a time */
const char *alertmanager_event(struct sdk_call *call, size_t index, const json_t *alert, struct sdk_event *ret);

/** The fingerprint that Alertmanager itself gives to these labels (FNV-1a over the sorted pairs), as 16 hex digits:
 * what an old version left out has the same identity as what a new one sends. labels: texts only. */
void alertmanager_fingerprint(const json_t *labels, char ret_hex[17]);

#endif
