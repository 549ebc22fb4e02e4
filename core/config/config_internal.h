/*
 * What the files of core/config share: how a configuration is made, and what its reader knows.
 */
#ifndef RUNSFS_CONFIG_INTERNAL_H
#define RUNSFS_CONFIG_INTERNAL_H

#include "core/base/limits.h"
#include "core/base/nearest.h"
#include "core/config/config.h"
#include "core/json/reader.h"

/* built_in.c: the built-in configuration, not finished yet: it may still be changed. */
struct config *config_new(void);

/* config.c */

/* Ends the making: leaves of the files those that a source names, in the order of their first use, parts the
 * excluded paths into plain ones and globs, and takes the fingerprint. */
void config_finish(struct config *config);
/* The index of a file in files, where it is put if it is not there; LIMIT_CONFIG_FILES where there is no
 * room.
 */
unsigned config_intern_file(struct config *config, struct slice name);
/* Adds a source by a pointer that is well formed (begins with '/', each '~' followed by 0 or 1). */
void config_add_source(struct config_field *field, unsigned file, struct slice pointer);
void config_free_sources(struct config_field *field);
/* An array of texts with one more; it has room in steps of a power of two. */
void config_add_text(char ***texts, size_t *count, struct slice text);
void config_add_layout(struct config *config, struct slice path);
void config_add_view(struct config *config, struct slice directory, struct slice field);
void config_free_texts(char **texts, size_t count);

/* names.c: the names that mean something without the configuration. */

/* The long name of a built-in field; absent where it is none, or not from a file. */
struct slice config_long_name(struct slice name);
/* Fields that every run has without a file: run_id, framework, path, tokens, duration, day. */
bool config_is_derived_field(struct slice name);
/* Words with a meaning of their own in queries: since, until, has, missing, sort, limit. */
bool config_is_query_word(struct slice name);
/* Offers every name that a view or a query may use. */
void config_offer_fields(const struct config *config, struct nearest *nearest);

/* faults.c: what was found wrong so far. */
struct faults {
    struct slice text;
    struct config_fault *found;
    size_t count;
    bool is_any;
};

/* Notes a fault at a position of the text; beyond CONFIG_FAULTS_AT_MOST it is only counted as one. */
void faults_add(struct faults *faults, size_t position, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* In the order of their places. */
void faults_sort(struct faults *faults);
/* A text from outside, in quotes, cut and made printable, for use within one expression. */
struct quoted {
    char text[72];
};
struct quoted quoted(struct slice text);
/* `; did you mean "..."?`, or nothing. */
struct quoted quoted_hint(struct slice nearest);

/* What the reader of a configuration works with. */
struct parser {
    struct json_reader reader;
    struct faults faults;
    struct config *config;
    struct buffer name;                     /* scratch: a string as the disk has it */
    bool is_given[LIMIT_CONFIG_FIELDS];     /* which fields the configuration has, by their index */
    size_t view_places[LIMIT_CONFIG_VIEWS]; /* where the field of each view stands, by its index */
    size_t exclude_globs;
};

/* A string that was just read: what it says and where it stands; good until the next token. */
struct string {
    struct slice text; /* absent where it is none */
    size_t position;   /* of its quotation mark */
    bool has_escapes;
};

/* A member of an object, and what reads its value. */
struct known_member {
    struct slice name;
    int (*read)(struct parser *parser, void *context);
};

/* parse_values.c: the values that a configuration is made of. All that read return 0, whatever faults they
 * note, or -EBADMSG where the text is not JSON. */

/* The members of an object that has begun, each by its reader; the unknown and the repeated are faults. */
int parser_members(struct parser *parser, const struct known_member *known, size_t count, void *context);
/* Begins an object: *is_object tells whether there was one; else it is a fault, and read over. `what` is what
 * has to be an object. */
int parser_object(struct parser *parser, const char *what, bool *is_object);
/* A string; else a fault, and string->text absent. */
int parser_string(struct parser *parser, const char *what, struct string *string);
/* The string, or the member's name, that is the reader's current token. */
struct string parser_current(const struct parser *parser);
/* Where the byte at offset of a string stands in the text; its beginning where escapes hide that. */
size_t string_position(const struct string *string, size_t offset);

typedef void string_taker(struct parser *parser, const struct string *string, void *context);
/* An array of strings, at most `limit`, each of which goes to `take`. */
int parser_strings(struct parser *parser, const char *what, size_t limit, string_taker *take, void *context);
/* The same, or one string instead of an array of one. */
int parser_string_or_strings(struct parser *parser, const char *what, size_t limit, string_taker *take,
                             void *context);
/* The rest of either, where the array has begun. */
int parser_elements(struct parser *parser, const char *what, size_t limit, string_taker *take, void *context);
/* Notes that a value, whose token was just read, is not of the type it has to be, and reads over it. */
int parser_refuse(struct parser *parser, enum json_token token, const char *what, const char *type);
/* A part of a string as the disk has it, in parser->name; absent (with a fault) where no file can have that
 * name. */
struct slice parser_file_name(struct parser *parser, const struct string *string, struct slice part);
/* Is a string, or its first part, a path of at most `deepest` names, none of them empty, "." or ".."? Else a
 * fault is noted. With are_globs they are globs. */
bool parser_check_path(struct parser *parser, const struct string *string, struct slice path, size_t deepest,
                       bool are_globs);
/* Has the text no control characters? Else a fault is noted. */
bool parser_check_printable(struct parser *parser, const struct string *string);

/* parse_fields.c and parse_views.c: the values of `fields` and `views`. */
int parse_fields(struct parser *parser, void *context);
int parse_views(struct parser *parser, void *context);
/* When all fields are known: does each view name one? Their short names become long ones. */
void check_views(struct parser *parser);

#endif
