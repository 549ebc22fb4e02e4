/*
 * What `runs check` found: a list, for people or for programs.
 */
#ifndef RUNSFS_CLI_FINDING_H
#define RUNSFS_CLI_FINDING_H

#include "core/base/text.h"

enum finding_kind {
    FINDING_MANIFEST,      /* the manifest's file as a whole */
    FINDING_DIFFERENCE,    /* something in it is not what the files say */
    FINDING_UNREADABLE,    /* a file or directory of a run */
    FINDING_ABORTED,       /* a directory that looks like a run and is none */
    FINDING_CONFIGURATION, /* runsfs.json */
    FINDING_GIT,           /* in the way of what Git is to take */
    FINDING_KIND_COUNT
};

struct finding {
    enum finding_kind kind;
    struct slice path; /* below the source, as it stands on disk; owned */
    char *detail;      /* printable ASCII; owned */
};

struct finding_list {
    struct finding *findings;
    size_t count, capacity;
};

void finding_list_free(struct finding_list *list);
/* The detail is a format; what is put into it is to be printable ASCII (a JSON literal is). */
void finding_add(struct finding_list *list, enum finding_kind kind, struct slice path, const char *detail,
                 ...) __attribute__((format(printf, 4, 5)));
/* Puts those from `first` on in order of their paths. */
void finding_sort(struct finding_list *list, size_t first);
/* Are there any that writing the manifest anew would mend? */
size_t finding_count_mendable(const struct finding_list *list);
/* One line each: "path: detail". */
void finding_append_lines(struct buffer *out, const struct finding_list *list);
/* An array of {kind, path, detail}. 0 or -ENOMEM. */
int finding_append_json(struct buffer *out, const struct finding_list *list);

#endif
