/* The Python module velora.kernels._native: calls of kernels, one by one, or recorded and replayed as a program.

   Every argument of a call is a whole number (a size, a stride or an address) or a float, and fills one 8-byte word of
   the call's struct in native.h. velora/kernels/native/binding.py is the only user and checks everything before. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "pool.h"

typedef struct {
    int64_t kind, n_seeds;
    union {
        forward_args forward;
        backward_args backward;
#define MEMBER(KIND, call) call##_args call;
        CALLS_BETWEEN_NETWORKS(MEMBER)
#undef MEMBER
        int64_t words[96];
    } a;
} call;

typedef struct {
    const call *c;
    int64_t phase;
} call_phase;

typedef struct {
    call *calls;
    Py_ssize_t n, room;
    int64_t *seeds;  /* the seeds that the run in progress is for; none until the recording has ended */
    strand *strands; /* one for each of them */
    int64_t n_running, job; /* how many they are; the run in progress, as the pool counts them */
    /* A stage is a phase of a call whose tasks threads may share, or as many phases of one task as there are between two
       such: the steps from its first one to the next stage's. */
    call_phase *steps;
    int64_t n_stages, *first_step, *n_parts;
} program;

static const struct {
    const char *name;
    size_t n_words, n_seeds_at;
} KINDS[N_CALLS] = {
    {"forward", sizeof(forward_args) / 8, offsetof(forward_args, n_seeds) / 8},
    {"backward", sizeof(backward_args) / 8, offsetof(forward_args, n_seeds) / 8},
#define ROW(KIND, call) {#call, sizeof(call##_args) / 8, offsetof(call##_args, n_seeds) / 8},
    CALLS_BETWEEN_NETWORKS(ROW)
#undef ROW
};

static const kernel_set *kernels = &velora_plain;

/* ------------------------------------------------------------------------------------------------- running one call */

static int64_t n_phases(const call *c) { return c->kind == BACKWARD && c->a.backward.gradient ? 2 : 1; }

static int64_t n_tasks(const call *c, int64_t phase) {
    if (c->kind != FORWARD && c->kind != BACKWARD) return 1;
    if (phase == 1) return GRADIENT_PARTS;
    int64_t rows = (c->a.forward.n_batch + PAD - 1) / PAD * PAD;
    return (rows + LANES - 1) / LANES;
}

static void do_task(const call *c, int64_t phase, int64_t seed, int64_t task) {
    switch (c->kind) {
    case FORWARD: kernels->forward(&c->a.forward, seed, task); break;
    case BACKWARD: kernels->backward(&c->a.backward, phase, seed, task); break;
#define CASE(KIND, call) case KIND: kernels->call(&c->a.call, seed); break;
    CALLS_BETWEEN_NETWORKS(CASE)
#undef CASE
    }
}

static void do_phase_task(const void *context, int64_t task) {
    const call_phase *p = context;
    int64_t each = n_tasks(p->c, p->phase);
    do_task(p->c, p->phase, task / each, task % each);
}

static void do_call(const call *c, int64_t n_threads) {
    for (int64_t phase = 0; phase < n_phases(c); phase++) {
        call_phase context = {c, phase};
        pool_run(do_phase_task, &context, c->n_seeds * n_tasks(c, phase), n_threads);
    }
}

static void do_part(const void *context, int64_t index, int64_t stage, int64_t part) {
    const program *p = context;
    for (int64_t i = p->first_step[stage]; i < p->first_step[stage + 1]; i++)
        do_task(p->steps[i].c, p->steps[i].phase, p->seeds[index], part);
}

/* Arrange the calls of a program in stages; 0 if there is no memory for it. */
static int make_stages(program *p) {
    size_t most = 2 * (size_t)p->n + 1;
    p->steps = calloc(most, sizeof(call_phase)), p->n_parts = calloc(most, sizeof(int64_t));
    p->first_step = calloc(most + 1, sizeof(int64_t));
    if (!p->steps || !p->n_parts || !p->first_step) return 0;
    int64_t n_steps = 0;
    for (Py_ssize_t i = 0; i < p->n; i++)
        for (int64_t phase = 0; phase < n_phases(&p->calls[i]); phase++) {
            int64_t parts = n_tasks(&p->calls[i], phase);
            if (parts > 1 || p->n_stages == 0 || p->n_parts[p->n_stages - 1] > 1) {
                p->first_step[p->n_stages] = n_steps, p->n_parts[p->n_stages] = parts;
                p->n_stages++;
            }
            p->steps[n_steps].c = &p->calls[i], p->steps[n_steps].phase = phase;
            n_steps++;
        }
    p->first_step[p->n_stages] = n_steps;
    return 1;
}

/* Seeds share nothing, so that a program runs through for one of them without waiting for the others. */
static void do_program(const void *context, int64_t index) {
    const program *p = context;
    strand_work(&p->strands[index], p->n_parts, p->n_stages, do_part, p, index);
}

/* Where there are more threads than seeds that haven't begun, several share the calls of one. */
static void help_program(const void *context) {
    const program *p = context;
    for (int64_t index = 0; index < p->n_running; index++) do_program(p, index);
}

/* ----------------------------------------------------------------------------------------------- the Python functions */

static int read_word(PyObject *object, int64_t *word) {
    if (PyFloat_Check(object)) {
        double value = PyFloat_AsDouble(object);
        memcpy(word, &value, 8);
        return 1;
    }
    *word = PyLong_AsLongLong(object);
    return !(*word == -1 && PyErr_Occurred());
}

static program *program_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, "velora.program"); }

static int note(program *p, const call *c) {
    if (p->seeds) return PyErr_Format(PyExc_RuntimeError, "call: the program's recording has ended"), 0;
    if (p->n == p->room) {
        Py_ssize_t room = p->room ? 2 * p->room : 32;
        call *calls = realloc(p->calls, sizeof(call) * (size_t)room);
        if (!calls) return PyErr_NoMemory(), 0;
        p->calls = calls, p->room = room;
    }
    p->calls[p->n++] = *c;
    return 1;
}

/* call(program to note it in, or None to make it now, n_threads, kind, *words) */
static PyObject *py_call(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    call c;
    int64_t n_threads, kind;
    if (n_args < 3 || !read_word(args[1], &n_threads) || !read_word(args[2], &kind)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "call: expected program, n_threads, kind, words");
        return NULL;
    }
    if (kind < 0 || kind >= N_CALLS || (size_t)(n_args - 3) != KINDS[kind].n_words)
        return PyErr_Format(PyExc_TypeError, "call: kind %lld doesn't take %zd words", (long long)kind, n_args - 3);
    c.kind = kind;
    for (Py_ssize_t i = 3; i < n_args; i++)
        if (!read_word(args[i], &c.a.words[i - 3])) return NULL;
    c.n_seeds = c.a.words[KINDS[kind].n_seeds_at];
    if (args[0] != Py_None) {
        program *p = program_of(args[0]);
        if (!p || !note(p, &c)) return NULL;
        Py_RETURN_NONE;
    }
    Py_BEGIN_ALLOW_THREADS
    do_call(&c, n_threads);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static void free_program(PyObject *capsule) {
    program *p = program_of(capsule);
    if (p) free(p->calls), free(p->seeds), free(p->strands), free(p->steps), free(p->first_step), free(p->n_parts), free(p);
}

static PyObject *py_record(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    program *p = calloc(1, sizeof *p);
    if (!p) return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(p, "velora.program", free_program);
    return capsule ? capsule : (free(p), NULL);
}

/* finish(program) -> number of calls recorded */
static PyObject *py_finish(PyObject *self, PyObject *capsule) {
    (void)self;
    program *p = program_of(capsule);
    if (!p) return NULL;
    if (p->seeds) return PyErr_Format(PyExc_RuntimeError, "finish: the program's recording has ended");
    int64_t n_seeds = p->n ? p->calls[0].n_seeds : 0;
    for (Py_ssize_t i = 0; i < p->n; i++)
        if (p->calls[i].n_seeds != n_seeds) return PyErr_Format(PyExc_RuntimeError, "finish: calls of different seeds");
    p->seeds = calloc((size_t)n_seeds + 1, sizeof(int64_t));
    p->strands = calloc((size_t)n_seeds + 1, sizeof(strand));
    if (!p->seeds || !p->strands || !make_stages(p)) return PyErr_NoMemory();
    return PyLong_FromSsize_t(p->n);
}

/* start(program, seeds, n_threads): run it for these seeds; with one thread it is done on return, with more after
   wait(program), which has to come before anything the program touches is read or written. */
static PyObject *py_start(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    int64_t n_threads;
    if (n_args != 3 || !PyTuple_Check(args[1])) return PyErr_Format(PyExc_TypeError, "start: expected program, seeds, n_threads");
    program *p = program_of(args[0]);
    if (!p || !read_word(args[2], &n_threads)) return NULL;
    if (!p->seeds) return PyErr_Format(PyExc_RuntimeError, "start: the program isn't finished");
    Py_ssize_t n = PyTuple_Size(args[1]);
    int64_t n_seeds = p->n ? p->calls[0].n_seeds : 0;
    if (n > n_seeds) return PyErr_Format(PyExc_ValueError, "start: more seeds than the program has");
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!read_word(PyTuple_GetItem(args[1], i), &p->seeds[i])) return NULL;
        if (p->seeds[i] < 0 || p->seeds[i] >= n_seeds) return PyErr_Format(PyExc_ValueError, "start: no such seed");
    }
    memset(p->strands, 0, sizeof(strand) * (size_t)n);
    p->n_running = n;
    Py_BEGIN_ALLOW_THREADS
    p->job = pool_start(do_program, help_program, p, n, n_threads);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *py_wait(PyObject *self, PyObject *capsule) {
    (void)self;
    program *p = program_of(capsule);
    if (!p) return NULL;
    Py_BEGIN_ALLOW_THREADS
    pool_wait(p->job);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static void free_plan(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, "velora.plan")); }

/* plan(words) -> (capsule that owns it, its address) */
static PyObject *py_plan(PyObject *self, PyObject *words) {
    (void)self;
    Py_ssize_t n = PyTuple_Check(words) ? PyTuple_Size(words) : -1;
    if (n != sizeof(plan) / 8) return PyErr_Format(PyExc_TypeError, "plan: expected a tuple of %zd words", sizeof(plan) / 8);
    int64_t *made = malloc(sizeof(plan));
    if (!made) return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(made, "velora.plan", free_plan);
    if (!capsule) return free(made), NULL;
    for (Py_ssize_t i = 0; i < n; i++)
        if (!read_word(PyTuple_GetItem(words, i), &made[i])) return Py_DecRef(capsule), NULL;
    return Py_BuildValue("NL", capsule, (long long)(intptr_t)made);
}

/* workspace(plan address, n_batch, n_time, keeps) -> floats for one seed */
static PyObject *py_workspace(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    int64_t w[4];
    if (n_args != 4) return PyErr_Format(PyExc_TypeError, "workspace: expected 4 words");
    for (int i = 0; i < 4; i++)
        if (!read_word(args[i], &w[i])) return NULL;
    return PyLong_FromLongLong(kernels->workspace((const plan *)(intptr_t)w[0], w[1], w[2], w[3]));
}

static int is_supported(const kernel_set *set) {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (set == &velora_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma");
    if (set == &velora_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return set == &velora_plain || set == &velora_vector;
}

static const kernel_set *const SETS[] = {
    &velora_plain,
    &velora_vector,
#if defined(__x86_64__) && defined(__GNUC__)
    &velora_avx2,
    &velora_avx512,
#endif
};
#define N_SETS (sizeof SETS / sizeof *SETS)

/* instruction_sets() -> names of those that this machine can run, the fastest last */
static PyObject *py_instruction_sets(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names && i < N_SETS; i++) {
        if (!is_supported(SETS[i])) continue;
        PyObject *name = PyUnicode_FromString(SETS[i]->name);
        if (!name || PyList_Append(names, name)) return Py_DecRef(name), Py_DecRef(names), NULL;
        Py_DecRef(name);
    }
    return names;
}

/* tables_digest() -> which tables this was built from; velora/kernels/generate.py knows which it should be */
static PyObject *py_tables_digest(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyLong_FromUnsignedLong(TABLES_DIGEST);
}

static PyObject *py_use(PyObject *self, PyObject *name) {
    (void)self;
    for (size_t i = 0; i < N_SETS; i++) {
        PyObject *known = PyUnicode_FromString(SETS[i]->name);
        if (!known) return NULL;
        int same = PyUnicode_Check(name) && PyUnicode_Compare(known, name) == 0;
        Py_DecRef(known);
        if (same && is_supported(SETS[i])) {
            kernels = SETS[i];
            Py_RETURN_NONE;
        }
    }
    return PyErr_Format(PyExc_ValueError, "use: this machine has no instruction set %R", name);
}

static PyMethodDef METHODS[] = {
    {"call", (PyCFunction)(void (*)(void))py_call, METH_FASTCALL, "call(program or None, n_threads, kind, *words)"},
    {"record", py_record, METH_NOARGS, "record() -> program that calls can be recorded in"},
    {"finish", py_finish, METH_O, "finish(program) -> number of calls recorded"},
    {"start", (PyCFunction)(void (*)(void))py_start, METH_FASTCALL, "start(program, seeds, n_threads)"},
    {"wait", py_wait, METH_O, "wait(program) until its run is done"},
    {"plan", py_plan, METH_O, "plan(words) -> (owner, address)"},
    {"workspace", (PyCFunction)(void (*)(void))py_workspace, METH_FASTCALL, "workspace(plan, n_batch, n_time, keeps) -> floats"},
    {"instruction_sets", py_instruction_sets, METH_NOARGS, "instruction_sets() -> names, the fastest last"},
    {"tables_digest", py_tables_digest, METH_NOARGS, "tables_digest() -> which tables it was built from"},
    {"use", py_use, METH_O, "use(name of an instruction set)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_native", "Velora's CPU kernels.", -1, METHODS, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) {
    for (size_t i = 0; i < N_SETS; i++)
        if (is_supported(SETS[i])) kernels = SETS[i];
    return PyModule_Create(&MODULE);
}
