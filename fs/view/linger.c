/*
 * Runs that are being removed through a view or a query. `rm -r by-status/failed/<run>` removes metrics.json
 * long before the directory, and with that the run leaves the view; the directory must still be found there
 * for the rest of the removal. So it lingers: reachable by the name it had, not listed, until it is gone or
 * nobody came for long. While it is a run all the same (its metadata.json is still there) it is not shown
 * here, but lingers on: the removal has only begun.
 */
#include "fs/view/view.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINGER_SECONDS 600
#define LINGER_MOST 256

struct lingering {
    struct lingering *next;
    struct node *view;           /* a value or a query; a reference */
    struct directory *directory; /* a reference */
    time_t until;                /* CLOCK_MONOTONIC */
    char name[LIMIT_NAME_BYTES + 1];
};

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* Takes out of the list what is over, or is `directory`; the lock is held. */
static struct lingering *take_out(struct fs *fs, const struct directory *directory, size_t *count)
{
    struct lingering *out = NULL;
    for (struct lingering **link = &fs->lingering, *at; (at = *link);) {
        if (at->directory != directory && at->until > now() && *count < LINGER_MOST) {
            (*count)++;
            link = &at->next;
            continue;
        }
        *link = at->next;
        at->next = out;
        out = at;
    }
    return out;
}

static void free_all(struct fs *fs, struct lingering *lingering)
{
    for (struct lingering *next; lingering; lingering = next) {
        next = lingering->next;
        node_unref(&fs->nodes, lingering->view);
        directory_unref(fs->source, lingering->directory);
        free(lingering);
    }
}

void view_linger(struct fs *fs, const struct directory_node *parent, const char *name)
{
    struct node *view = parent->parent;
    if (!view || (view->kind != NODE_VALUE && view->kind != NODE_QUERY))
        return;
    struct lingering *lingering = memory_alloc_zeroed(1, sizeof(*lingering));
    struct index *index = keeper_lock(fs->keeper);
    bool is_run_file = run_plan_find(keeper_plan(fs->keeper), NULL, name) >= 0;
    struct run *run = is_run_file ? keeper_run_of_directory(fs->keeper, parent->directory) : NULL;
    if (run && view->kind == NODE_VALUE)
        facet_run_name(index, ((struct view_node *)view)->facet, run, lingering->name);
    else if (run && !query_run_name(fs, index, (struct query_node *)view, run, lingering->name))
        run = NULL;
    keeper_unlock(fs->keeper);
    if (!run) { /* not what makes it a run, or it lingers already */
        free(lingering);
        return;
    }
    lingering->view = node_ref(&fs->nodes, view);
    lingering->directory = directory_ref(parent->directory);
    lingering->until = now() + LINGER_SECONDS;

    size_t count = 1;
    pthread_mutex_lock(&fs->linger_lock);
    struct lingering *out = take_out(fs, parent->directory, &count);
    lingering->next = fs->lingering;
    fs->lingering = lingering;
    pthread_mutex_unlock(&fs->linger_lock);
    free_all(fs, out);
}

/* One that is a run is where its files say, and nowhere else; one that was removed elsewhere is nowhere. */
static bool is_to_be_shown(struct fs *fs, struct directory *directory)
{
    struct descriptor descriptor;
    struct stat st;
    keeper_lock(fs->keeper);
    bool is_run = keeper_run_of_directory(fs->keeper, directory) != NULL;
    keeper_unlock(fs->keeper);
    if (is_run || source_borrow(fs->source, directory, &descriptor) != 0)
        return false;
    bool is_there = fstat(descriptor.fd, &st) == 0 && st.st_nlink > 0;
    source_release(fs->source, &descriptor);
    return is_there;
}

struct directory *view_lingering(struct fs *fs, const struct node *view, const char *name)
{
    struct directory *directory = NULL;
    pthread_mutex_lock(&fs->linger_lock);
    for (struct lingering *at = fs->lingering; at && !directory; at = at->next)
        if (at->view == view && at->until > now() && strcmp(at->name, name) == 0)
            directory = directory_ref(at->directory);
    pthread_mutex_unlock(&fs->linger_lock);
    if (directory && !is_to_be_shown(fs, directory)) {
        directory_unref(fs->source, directory);
        directory = NULL;
    }
    return directory;
}

static bool is_value_named(const struct node *node, unsigned facet, const char *name)
{
    const struct view_node *view = (const struct view_node *)node;
    return node->kind == NODE_VALUE && view->facet == facet &&
           strcmp(facet_value_name(view->value), name) == 0;
}

/* The value with one more lookup, and the name of the run that lingers in it behind so many others; NULL for
 * none. */
static struct view_node *find_value(struct fs *fs, unsigned facet, const char *name, unsigned behind,
                                    char run_name[LIMIT_NAME_BYTES + 1])
{
    struct node *view = NULL;
    pthread_mutex_lock(&fs->linger_lock);
    for (struct lingering *at = fs->lingering; at && !view; at = at->next)
        if (at->until > now() && is_value_named(at->view, facet, name) && behind-- == 0) {
            view = at->view;
            nodes_looked_up(&fs->nodes, view);
            memcpy(run_name, at->name, sizeof(at->name));
        }
    pthread_mutex_unlock(&fs->linger_lock);
    return (struct view_node *)view;
}

struct view_node *view_lingering_value(struct fs *fs, unsigned facet, const char *name)
{
    char run_name[LIMIT_NAME_BYTES + 1];
    struct view_node *view;
    for (unsigned behind = 0; (view = find_value(fs, facet, name, behind, run_name)); behind++) {
        struct directory *directory = view_lingering(fs, &view->node, run_name);
        directory_unref(fs->source, directory);
        if (directory)
            break;
        nodes_forget(&fs->nodes, &view->node, 1);
    }
    return view;
}

void view_linger_end(struct fs *fs, const struct directory *directory)
{
    size_t count = 0;
    pthread_mutex_lock(&fs->linger_lock);
    struct lingering *out = take_out(fs, directory, &count);
    pthread_mutex_unlock(&fs->linger_lock);
    free_all(fs, out);
}

void view_linger_free(struct fs *fs)
{
    free_all(fs, fs->lingering);
    fs->lingering = NULL;
}
