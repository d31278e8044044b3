/* payload.h: what GitHub posts, as changes. Pure: reads the body that github.c has checked.
 * Source: GitHub's "Webhook events and payloads"; samples in test/samples.
 */
#ifndef STANCH_GITHUB_PAYLOAD_H
#define STANCH_GITHUB_PAYLOAD_H
#include <stanch/sdk.h>

/** Turn one post into events. kind: the header X-GitHub-Event. events: appended to; nothing for a post that is no change
 *  (a ping, a branch that is not followed).
 *  returns NULL, or what is wrong with the body, with its place (as long as the call) */
const char *github_events(struct sdk_call *call, const char *kind, const json_t *body, json_t *events);

#endif
