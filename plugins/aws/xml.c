/* xml.c: XML by libxml2, held short: no network, no document type and so no entities, bounded depth and size. */
#include "xml.h"
#include <libxml/parser.h>
#include <string.h>

#define MAX_DEPTH 32

static const char has_type[] = "it has a document type, which AWS never sends";

/* The first thing that the parser says about a document type; it ends there, before any entity is declared. */
static void on_document_type(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *where)
{
    (void)name;
    (void)id;
    (void)where;
    xmlParserCtxtPtr parser = ctx;
    *(const char **)parser->_private = has_type;
    xmlStopParser(parser);
}

static const xmlNode *next_element(const xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

static json_t *value_of(const xmlNode *node, int depth, const char **ret_why);

static json_t *text_of(const xmlNode *node, const char **ret_why)
{
    xmlChar *text = xmlNodeGetContent(node);
    json_t *value = json_string(text ? (const char *)text : "");
    xmlFree(text);
    if (!value)
        *ret_why = "a text in it is not UTF-8";
    return value;
}

static json_t *list_of(const xmlNode *child, int depth, const char **ret_why)
{
    json_t *list = json_array(), *one;
    for (; child; child = next_element(child->next)) {
        one = value_of(child, depth + 1, ret_why);
        if (!one) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *object_of(const xmlNode *child, int depth, const char **ret_why)
{
    json_t *object = json_object();
    for (; child; child = next_element(child->next)) {
        const char *name = (const char *)child->name;
        if (json_object_get(object, name))
            *ret_why = "an element stands in it twice";
        json_t *one = *ret_why ? NULL : value_of(child, depth + 1, ret_why);
        if (!one) {
            json_decref(object);
            return NULL;
        }
        json_object_set_new(object, name, one);
    }
    return object;
}

static json_t *value_of(const xmlNode *node, int depth, const char **ret_why)
{
    const xmlNode *child = next_element(node->children);
    bool is_list = child != NULL;
    if (depth > MAX_DEPTH) {
        *ret_why = "it is nested too deep";
        return NULL;
    }
    for (const xmlNode *each = child; each; each = next_element(each->next))
        is_list = is_list && strcmp((const char *)each->name, "member") == 0;
    return !child    ? text_of(node, ret_why)
           : is_list ? list_of(child, depth, ret_why)
                     : object_of(child, depth, ret_why);
}

/* new, or NULL */
static xmlDocPtr read_document(const char *body, size_t len, const char **ret_why)
{
    xmlParserCtxtPtr parser = xmlNewParserCtxt();
    if (!parser)
        return NULL;
    parser->_private = ret_why;
    parser->sax->internalSubset = on_document_type;
    xmlDocPtr document =
        xmlCtxtReadMemory(parser, body, (int)len, NULL, NULL,
                          XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
    xmlFreeParserCtxt(parser);
    return document;
}

json_t *aws_xml_parse(const char *body, size_t len, char **ret_root, const char **ret_why)
{
    json_t *value = NULL;
    *ret_why = len > AWS_XML_MAX ? "it is too large" : NULL;
    xmlDocPtr document = *ret_why ? NULL : read_document(body, len, ret_why);
    const xmlNode *root = document && !*ret_why ? xmlDocGetRootElement(document) : NULL;
    if (root)
        value = value_of(root, 0, ret_why);
    else if (!*ret_why)
        *ret_why = "it is no well-formed XML";
    if (value)
        *ret_root = strdup((const char *)root->name);
    xmlFreeDoc(document);
    return value;
}

void aws_xml_end(void)
{
    xmlCleanupParser();
}
