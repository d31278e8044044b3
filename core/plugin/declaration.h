/* declaration.h: what a plugin says about itself (settings, actions, sources), checked and brought into one
 * form. sdk/README.md describes the form that a plugin writes. Checked twice: by the host, whose text helps
 * the author, and by core, which does not trust a host. Pure.
 */
#ifndef STANCH_PLUGIN_DECLARATION_H
#define STANCH_PLUGIN_DECLARATION_H
#include "base/err.h"
#include <jansson.h>

/** Check. Refused are, among others: an action without class or effect; a mitigation without plan, or without
 * undo and no "no_undo_because"; a member that is not known. returns 0 | STANCH_E_INVALID: names the path in
 * the declaration */
int stanch_declaration_check(const json_t *declaration, struct stanch_err *err);
/** The actions with all defaults filled: {"drain":{"effect","class","risk","undo_risk"?,"summary",
 *  "params":{"type":"object","properties","required"},"has":{"plan":true,...},"deadline_ms","settle_ms","verify_ms",
 *  "no_undo_because"?}}. declaration: was checked. returns: new */
json_t *stanch_declaration_actions(const json_t *declaration);
/** Check an instance's settings. settings: without the secrets. secrets: object whose keys are the settings
 * that were given as secrets. returns 0 | STANCH_E_INVALID: "settings.url: ..." */
int stanch_declaration_check_settings(const json_t *declaration, const json_t *settings, const json_t *secrets,
                                      struct stanch_err *err);
/** The settings of a declaration as one schema (secrets left out, required ones listed). new */
json_t *stanch_declaration_settings_schema(const json_t *declaration);

#endif
