/*
 * Runs that are being removed through a view or a query. `rm -r by-status/failed/<run>` removes metrics.json
 * long before the directory, and with that the run leaves the view; the directory must still be found there
 * for the rest of the removal. So it lingers: reachable by the name it had, not listed, until it is gone, is
 * a run again, or nobody came for long.
 */
#include "fs/view/view.h"
#include "core/base/memory.h"
#include <stdlib.h>
#include <string.h>

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

/* A run again: it is where its files say, and nowhere else. */
static bool is_run(struct fs *fs, const struct directory *directory)
{
    keeper_lock(fs->keeper);
    bool is = keeper_run_of_directory(fs->keeper, directory) != NULL;
    keeper_unlock(fs->keeper);
    return is;
}

struct directory *view_lingering(struct fs *fs, const struct node *view, const char *name)
{
    struct directory *directory = NULL;
    pthread_mutex_lock(&fs->linger_lock);
    for (struct lingering *at = fs->lingering; at && !directory; at = at->next)
        if (at->view == view && at->until > now() && strcmp(at->name, name) == 0)
            directory = directory_ref(at->directory);
    pthread_mutex_unlock(&fs->linger_lock);
    if (directory && is_run(fs, directory)) {
        view_linger_end(fs, directory);
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

struct view_node *view_lingering_value(struct fs *fs, unsigned facet, const char *name)
{
    struct node *view = NULL;
    char run_name[LIMIT_NAME_BYTES + 1];
    pthread_mutex_lock(&fs->linger_lock);
    for (struct lingering *at = fs->lingering; at && !view; at = at->next)
        if (at->until > now() && is_value_named(at->view, facet, name)) {
            view = at->view;
            nodes_looked_up(&fs->nodes, view);
            memcpy(run_name, at->name, sizeof(run_name));
        }
    pthread_mutex_unlock(&fs->linger_lock);
    struct directory *directory = view ? view_lingering(fs, view, run_name) : NULL;
    if (directory)
        directory_unref(fs->source, directory);
    else if (view)
        nodes_forget(&fs->nodes, view, 1);
    return directory ? (struct view_node *)view : NULL;
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
