/* Preempts Lua coroutines, from a signal that is delivered to the worker's own thread.
 *
 * No Lua headers: the C API is looked up in the loaded lupa extension (wippy.scheduler.preempt names it), so this builds
 * wherever there is a C compiler and works with the Lua that lupa was built with.
 *
 * A VM resumes its coroutines by the function that is given to it here, which notes the one that runs. One thread for
 * all VMs, the watchdog, looks every few milliseconds; when a slice has taken longer than its quantum it signals the
 * thread that runs it. The handler sets a count hook on the running coroutine (lua_sethook is made to be called so), and
 * the hook yields. Nothing of this costs a running program anything until then.
 *
 * Three things keep the hook from doing harm. It acts in user code only: kernel chunks rely on not being interrupted.
 * It does nothing unless the VM asks for it now, so a hook that stayed behind on a coroutine removes itself. And the
 * handler acts only on the VM that its own thread runs at this moment.
 *
 * Code that cannot yield (a metamethod or callback below a C function) is killed when it has used more processor time
 * than the stall limit: the hook raises at every instruction until the task is out of user code, so no pcall helps.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The parts of Lua 5.4's binary interface that are used here. */
typedef struct lua_State lua_State;
typedef struct lua_Debug {
  int event;
  const char *name, *namewhat, *what, *source;
  size_t srclen;
  int currentline, linedefined, lastlinedefined;
  unsigned char nups, nparams;
  char isvararg, istailcall;
  unsigned short ftransfer, ntransfer;
  char short_src[60];
  void *call_info;
} lua_Debug;
typedef void (*lua_Hook)(lua_State *, lua_Debug *);
typedef int (*lua_CFunction)(lua_State *);

#define MASK_COUNT (1 << 3)
#define FIRST_UPVALUE (-1000000 - 1000 - 1)
#define LUA_VERSION 504.0
#define LUA_OK 0
#define LUA_YIELD 1

static double (*lua_version)(lua_State *);
static int (*lua_gettop)(lua_State *);
static int (*lua_checkstack)(lua_State *, int);
static void (*lua_settop)(lua_State *, int);
static void (*lua_xmove)(lua_State *, lua_State *, int);
static int (*lua_resume)(lua_State *, lua_State *, int, int *);
static int (*lua_closethread)(lua_State *, lua_State *);
static void (*lua_pushboolean)(lua_State *, int);
static void (*lua_sethook)(lua_State *, lua_Hook, int, int);
static int (*lua_getinfo)(lua_State *, const char *, lua_Debug *);
static int (*lua_getstack)(lua_State *, int, lua_Debug *);
static int (*lua_isyieldable)(lua_State *);
static int (*lua_yieldk)(lua_State *, int, intptr_t, void *);
static lua_State *(*lua_tothread)(lua_State *, int);
static void *(*lua_touserdata)(lua_State *, int);
static void (*lua_pushlightuserdata)(lua_State *, void *);
static void (*lua_pushnumber)(lua_State *, double);
static void (*lua_pushcclosure)(lua_State *, lua_CFunction, int);
static void (*lua_setglobal)(lua_State *, const char *);
static const char *(*lua_pushstring)(lua_State *, const char *);
static int (*lua_error)(lua_State *);

static const struct {
  const char *name;
  void **address;
} API[] = {
    {"lua_version", (void **)&lua_version},
    {"lua_gettop", (void **)&lua_gettop},
    {"lua_checkstack", (void **)&lua_checkstack},
    {"lua_settop", (void **)&lua_settop},
    {"lua_xmove", (void **)&lua_xmove},
    {"lua_resume", (void **)&lua_resume},
    {"lua_closethread", (void **)&lua_closethread},
    {"lua_pushboolean", (void **)&lua_pushboolean},
    {"lua_sethook", (void **)&lua_sethook},
    {"lua_getinfo", (void **)&lua_getinfo},
    {"lua_getstack", (void **)&lua_getstack},
    {"lua_isyieldable", (void **)&lua_isyieldable},
    {"lua_yieldk", (void **)&lua_yieldk},
    {"lua_tothread", (void **)&lua_tothread},
    {"lua_touserdata", (void **)&lua_touserdata},
    {"lua_pushlightuserdata", (void **)&lua_pushlightuserdata},
    {"lua_pushnumber", (void **)&lua_pushnumber},
    {"lua_pushcclosure", (void **)&lua_pushcclosure},
    {"lua_setglobal", (void **)&lua_setglobal},
    {"lua_pushstring", (void **)&lua_pushstring},
    {"lua_error", (void **)&lua_error},
};

/* Calls in one another beyond which a coroutine that is preempted fails: such a stack takes too long to walk. */
enum { DEEPEST = 200000 };

/* How a task is told to stop: asked to yield, killed as soon as user code runs, killed wherever it is. */
enum { NONE, YIELD, KILL, KILL_KERNEL };

/* One VM. The first group is written by the VM's thread (and by the signal handler on it), the last by the watchdog. */
typedef struct Vm {
  lua_State *main;
  lua_State *volatile current; /* the coroutine that runs; NULL while the kernel does */
  volatile sig_atomic_t wanted;
  volatile int probes; /* hook calls in kernel code since the last signal */
  int tried;           /* the task was made to yield and still runs, or is being killed: no use to yield (again) */
  volatile unsigned long killed;
  volatile unsigned long preemptions;
  atomic_bool running; /* a slice is under way */
  pthread_t thread;    /* valid while running */
  atomic_ullong tasks; /* how many tasks were switched to */
  atomic_llong began;  /* when the slice began */

  long long quantum, stall_limit; /* nanoseconds */
  struct Vm *next;

  atomic_int order; /* what the watchdog wants, for the task that it saw */
  atomic_ullong target;
  atomic_bool unanswered;  /* a signal was sent and its handler has not ended */
  atomic_llong handler_time; /* what the last one took, in nanoseconds */
  long long next_signal;   /* not before this time */
  unsigned long long seen_task;
  long long seen_cpu; /* processor time of the thread when the task was first seen to be long; -1: not yet */
} Vm;

/* The VM that this thread runs. Read in the signal handler, so its storage must not be allocated there. */
#ifdef __GLIBC__
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local Vm *volatile active;

static long long
now_of(clockid_t clock)
{
  struct timespec t;
  if (clock_gettime(clock, &t) != 0)
    return 0;
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The hook ---------------------------------------------------------------------------------------------------------*/

/* Kernel chunks are named "=[kernel] name"; those that may be interrupted, "=[kernel]~ name". */
static int
is_atomic(lua_State *L, lua_Debug *ar)
{
  static const char prefix[] = "=[kernel]";
  if (!lua_getinfo(L, "S", ar) || ar->source == NULL || strncmp(ar->source, prefix, sizeof prefix - 1) != 0)
    return 0;
  return ar->source[sizeof prefix - 1] != '~';
}

static void
hook(lua_State *L, lua_Debug *ar)
{
  Vm *vm = active;
  int wanted = vm ? vm->wanted : NONE;
  if (wanted == NONE) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (wanted != KILL_KERNEL && is_atomic(L, ar)) {
    /* A kernel function is left after a few instructions, a long one should not be slowed for long. */
    lua_sethook(L, hook, MASK_COUNT, vm->probes++ < 256 ? 1 : 97);
    return;
  }
  lua_Debug unused;
  if (lua_getstack(L, DEEPEST, &unused)) {
    lua_sethook(L, NULL, 0, 0);
    lua_pushstring(L, "stack overflow");
    lua_error(L);
  }
  /* What was to be killed may only have come out of a long C function: it yields like others, once. */
  if (wanted == YIELD || (!vm->tried && lua_isyieldable(L))) {
    lua_sethook(L, NULL, 0, 0);
    vm->wanted = NONE;
    if (lua_isyieldable(L)) {
      vm->preemptions++;
      vm->tried = 1;
      lua_yieldk(L, 0, 0, NULL);
    }
    return; /* otherwise the watchdog comes again */
  }
  vm->killed++;
  vm->tried = 1;
  lua_sethook(L, hook, MASK_COUNT, 1);
  lua_pushstring(L, "process ran too long where it cannot be interrupted");
  lua_error(L);
}

static struct sigaction previous;

static void
on_signal(int number, siginfo_t *info, void *context)
{
  Vm *vm = active;
  if (vm && vm->current) {
    int order = atomic_load(&vm->order);
    if (order != NONE && atomic_load(&vm->target) == atomic_load(&vm->tasks)) {
      if (order > vm->wanted)
        vm->wanted = order;
      long long began = now_of(CLOCK_MONOTONIC);
      vm->probes = 0;
      lua_sethook(vm->current, hook, MASK_COUNT, 1);
      atomic_store(&vm->handler_time, now_of(CLOCK_MONOTONIC) - began);
    }
    atomic_store(&vm->unanswered, 0);
    return;
  }
  if (previous.sa_flags & SA_SIGINFO)
    previous.sa_sigaction(number, info, context);
  else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    previous.sa_handler(number);
}

/* The watchdog -----------------------------------------------------------------------------------------------------*/

enum { LONGEST_TICK = 2000000, UNANSWERED_TICKS = 10, IDLE_TICKS = 50, KERNEL_STALL_FACTOR = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards everything in this section */
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static Vm *vms;
static long long tick = LONGEST_TICK; /* nanoseconds: half of the shortest quantum */
static int has_thread, stopped;
static atomic_bool awake; /* false: parked, and whoever begins a slice must ring */

/* Processor time of a VM's thread where that can be told, so that a busy machine kills nobody; else real time. */
static long long
cpu_of(pthread_t thread)
{
#ifdef __linux__
  clockid_t clock;
  if (pthread_getcpuclockid(thread, &clock) == 0)
    return now_of(clock);
#endif
  return now_of(CLOCK_MONOTONIC);
}

static void
look_at(Vm *vm, long long now)
{
  unsigned long long task = atomic_load(&vm->tasks);
  if (task != vm->seen_task) {
    vm->seen_task = task;
    vm->seen_cpu = -1;
    vm->next_signal = 0;
    atomic_store(&vm->unanswered, 0);
  }
  if (now - atomic_load(&vm->began) < vm->quantum)
    return;
  /* lua_sethook walks the whole call stack. On a deep one that takes longer than a tick: signals must not follow each
     other so fast that nothing runs in between. */
  if (now < vm->next_signal)
    return;
  if (atomic_exchange(&vm->unanswered, 0)) {
    vm->next_signal = now + UNANSWERED_TICKS * tick;
    return;
  }
  int order = YIELD;
  long long cpu = cpu_of(vm->thread);
  if (vm->seen_cpu < 0)
    vm->seen_cpu = cpu;
  else if (cpu - vm->seen_cpu >= vm->stall_limit * KERNEL_STALL_FACTOR)
    order = KILL_KERNEL;
  else if (cpu - vm->seen_cpu >= vm->stall_limit)
    order = KILL;
  atomic_store(&vm->target, task);
  atomic_store(&vm->order, order);
  atomic_store(&vm->unanswered, 1);
  vm->next_signal = now + 2 * tick + 2 * atomic_load(&vm->handler_time);
  pthread_kill(vm->thread, SIGURG);
}

static void
set_tick(void)
{
  tick = LONGEST_TICK;
  for (Vm *vm = vms; vm; vm = vm->next)
    if (vm->quantum / 2 < tick)
      tick = vm->quantum / 2;
}

static void *
watch(void *nothing)
{
  (void)nothing;
  int idle = 0;
  pthread_mutex_lock(&lock);
  for (;;) {
    long long now = now_of(CLOCK_MONOTONIC);
    idle++;
    for (Vm *vm = vms; vm && !stopped; vm = vm->next)
      if (atomic_load(&vm->running)) {
        idle = 0;
        look_at(vm, now);
      }
    if (idle > IDLE_TICKS) {
      /* Whoever sets `running` after this store sees it, and whoever did before is seen by the next round. */
      if (atomic_exchange(&awake, 0))
        continue;
      pthread_cond_wait(&bell, &lock);
      idle = 0;
      continue;
    }
    struct timespec pause = {0, tick};
    pthread_mutex_unlock(&lock);
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&lock);
  }
  return NULL;
}

static void
ring(void)
{
  pthread_mutex_lock(&lock);
  if (!has_thread) {
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, watch, NULL) == 0) {
      pthread_detach(thread);
      has_thread = 1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  atomic_store(&awake, 1);
  pthread_cond_signal(&bell);
  pthread_mutex_unlock(&lock);
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

static void
in_child(void)
{
  has_thread = 0;
  atomic_store(&awake, 0);
  for (Vm *vm = vms; vm; vm = vm->next)
    atomic_store(&vm->running, 0);
  pthread_mutex_unlock(&lock);
}

/* What Lua calls ---------------------------------------------------------------------------------------------------*/

static void
begin_task(Vm *vm)
{
  unsigned long long task = atomic_load_explicit(&vm->tasks, memory_order_relaxed) + 1;
  atomic_store_explicit(&vm->tasks, task, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst); /* from here on no order for the last task is taken */
  vm->wanted = NONE;
  vm->tried = 0;
  if (!atomic_load_explicit(&vm->running, memory_order_relaxed)) {
    vm->thread = pthread_self();
    active = vm;
    atomic_store_explicit(&vm->began, now_of(CLOCK_MONOTONIC), memory_order_relaxed);
    atomic_store(&vm->running, 1);
    if (!atomic_load(&awake))
      ring();
  }
}

static void
leave_slice(Vm *vm)
{
  vm->wanted = NONE;
  if (active == vm)
    active = NULL;
  atomic_store(&vm->running, 0);
}

static lua_State *
enter(Vm *vm, lua_State *co)
{
  lua_State *outer = vm->current;
  if (vm->wanted >= KILL)
    lua_sethook(co, hook, MASK_COUNT, 1);
  vm->current = co;
  return outer;
}

static void
back_to(Vm *vm, lua_State *outer)
{
  vm->current = outer;
  if (outer && vm->wanted >= KILL)
    lua_sethook(outer, hook, MASK_COUNT, 1);
}

static int
fail(lua_State *L, const char *message)
{
  lua_pushboolean(L, 0);
  lua_pushstring(L, message);
  return 2;
}

/* resume(co, ...): coroutine.resume. On the main coroutine it is a switch to a task, elsewhere one within a task. */
static int
resume(lua_State *L)
{
  Vm *vm = lua_touserdata(L, FIRST_UPVALUE);
  lua_State *co = lua_tothread(L, 1);
  int count = lua_gettop(L) - 1, results = 0;
  if (co == NULL || !lua_checkstack(co, count))
    return fail(L, co ? "too many arguments to resume" : "coroutine expected");
  lua_xmove(L, co, count);
  if (L == vm->main)
    begin_task(vm);
  lua_State *outer = enter(vm, co);
  int status = lua_resume(co, L, count, &results);
  back_to(vm, outer);
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, results + 1)) {
      lua_settop(co, -results - 1);
      return fail(L, "too many results to resume");
    }
    lua_pushboolean(L, 1);
  } else {
    results = 1; /* the error */
    lua_pushboolean(L, 0);
  }
  lua_xmove(co, L, results);
  return results + 1;
}

/* close(co): coroutine.close of a suspended or dead coroutine. */
static int
close_coroutine(lua_State *L)
{
  Vm *vm = lua_touserdata(L, FIRST_UPVALUE);
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL)
    return fail(L, "coroutine expected");
  lua_State *outer = enter(vm, co);
  int status = lua_closethread(co, L);
  back_to(vm, outer);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK)
    return 1;
  lua_xmove(co, L, 1);
  return 2;
}

/* end_slice(): nothing runs until the next task. */
static int
end_slice(lua_State *L)
{
  leave_slice(lua_touserdata(L, FIRST_UPVALUE));
  return 0;
}

/* killed(): whether the task that just ended was being killed. */
static int
killed(lua_State *L)
{
  Vm *vm = lua_touserdata(L, FIRST_UPVALUE);
  lua_pushboolean(L, vm->wanted >= KILL);
  return 1;
}

static int
monotonic(lua_State *L)
{
  lua_pushnumber(L, now_of(CLOCK_MONOTONIC) * 1e-9);
  return 1;
}

static int
cpu_clock(lua_State *L)
{
  lua_pushnumber(L, now_of(CLOCK_THREAD_CPUTIME_ID) * 1e-9);
  return 1;
}

/* What Python calls ------------------------------------------------------------------------------------------------*/

static const char CAPSULE[] = "wippy.scheduler._native.vm";

static void
forget(PyObject *capsule)
{
  Vm *vm = PyCapsule_GetPointer(capsule, CAPSULE);
  pthread_mutex_lock(&lock);
  Vm **link = &vms;
  while (*link != vm)
    link = &(*link)->next;
  *link = vm->next;
  set_tick();
  pthread_mutex_unlock(&lock);
  free(vm);
}

static void
give(Vm *vm, lua_CFunction function, const char *name)
{
  lua_pushlightuserdata(vm->main, vm);
  lua_pushcclosure(vm->main, function, 1);
  lua_setglobal(vm->main, name);
}

PyDoc_STRVAR(bind_doc,
             "bind(path)\n--\n\n"
             "Take the Lua C API from the loaded library at `path`. Raises ImportError when it is not Lua 5.4's.");

static PyObject *
native_bind(PyObject *module, PyObject *path)
{
  (void)module;
  PyObject *encoded;
  if (!PyUnicode_FSConverter(path, &encoded))
    return NULL;
  void *library = dlopen(PyBytes_AsString(encoded), RTLD_NOW | RTLD_NOLOAD);
  Py_DECREF(encoded);
  if (library == NULL)
    return PyErr_Format(PyExc_ImportError, "%S is not loaded", path);
  for (size_t i = 0; i < sizeof API / sizeof *API; i++) {
    *API[i].address = dlsym(library, API[i].name);
    if (*API[i].address == NULL)
      return PyErr_Format(PyExc_ImportError, "%S has no %s", path, API[i].name);
  }
  if (lua_version(NULL) != LUA_VERSION)
    return PyErr_Format(PyExc_ImportError, "%S is not Lua 5.4", path);
  static int bound;
  if (bound)
    Py_RETURN_NONE;
  bound = 1;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_RESTART | SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGURG, &action, &previous);
  pthread_atfork(before_fork, after_fork, in_child);
  Py_RETURN_NONE;
}

PyDoc_STRVAR(install_doc,
             "install(state, quantum, stall_limit)\n--\n\n"
             "Watch the VM whose main lua_State is at the address `state`; times are in seconds. Leaves the functions\n"
             "resume, close_coroutine, end_slice, killed, monotonic and cpu_clock as its globals. Returns a capsule:\n"
             "the VM is watched while it lives.");

static PyObject *
native_install(PyObject *module, PyObject *args)
{
  (void)module;
  unsigned long long state;
  double quantum, stall_limit;
  if (!PyArg_ParseTuple(args, "Kdd", &state, &quantum, &stall_limit))
    return NULL;
  Vm *vm = calloc(1, sizeof *vm);
  if (vm == NULL)
    return PyErr_NoMemory();
  vm->main = (lua_State *)(uintptr_t)state;
  vm->quantum = (long long)(quantum * 1e9);
  vm->stall_limit = (long long)(stall_limit * 1e9);
  vm->seen_cpu = -1;
  PyObject *capsule = PyCapsule_New(vm, CAPSULE, forget);
  if (capsule == NULL) {
    free(vm);
    return NULL;
  }
  pthread_mutex_lock(&lock);
  vm->next = vms;
  vms = vm;
  set_tick();
  pthread_mutex_unlock(&lock);
  give(vm, resume, "resume");
  give(vm, close_coroutine, "close_coroutine");
  give(vm, end_slice, "end_slice");
  give(vm, killed, "killed");
  give(vm, monotonic, "monotonic");
  give(vm, cpu_clock, "cpu_clock");
  return capsule;
}

PyDoc_STRVAR(leave_doc,
             "leave(vm)\n--\n\n"
             "Call on the VM's thread before it ends: the VM is not signalled any more until its next slice.");

static PyObject *
native_leave(PyObject *module, PyObject *capsule)
{
  (void)module;
  Vm *vm = PyCapsule_GetPointer(capsule, CAPSULE);
  if (vm == NULL)
    return NULL;
  leave_slice(vm);
  pthread_mutex_lock(&lock); /* the watchdog may be about to signal this thread */
  pthread_mutex_unlock(&lock);
  Py_RETURN_NONE;
}

PyDoc_STRVAR(stats_doc, "stats(vm)\n--\n\nReturn how often the VM was preempted, and how often the kill hook raised.");

static PyObject *
native_stats(PyObject *module, PyObject *capsule)
{
  (void)module;
  Vm *vm = PyCapsule_GetPointer(capsule, CAPSULE);
  if (vm == NULL)
    return NULL;
  return Py_BuildValue("kk", vm->preemptions, vm->killed);
}

PyDoc_STRVAR(shutdown_doc, "shutdown()\n--\n\nSignal no thread any more: the interpreter is about to end them.");

static PyObject *
native_shutdown(PyObject *module, PyObject *nothing)
{
  (void)module;
  (void)nothing;
  pthread_mutex_lock(&lock);
  stopped = 1;
  pthread_mutex_unlock(&lock);
  Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"bind", native_bind, METH_O, bind_doc},
    {"install", native_install, METH_VARARGS, install_doc},
    {"leave", native_leave, METH_O, leave_doc},
    {"stats", native_stats, METH_O, stats_doc},
    {"shutdown", native_shutdown, METH_NOARGS, shutdown_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = -1, .m_methods = METHODS,
};

PyMODINIT_FUNC
PyInit__native(void)
{
  return PyModule_Create(&MODULE);
}
