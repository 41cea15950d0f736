/* What a launch with the promises of homing costs at least: the same system calls in bare C, without options, checks and error
 * handling. scripts/bench-peers compares `homing run` with it.
 *
 * It writes the job (a directory with record, lock and spec, and an inbox entry), starts a supervisor, syncs the spec and the
 * directories that lead to it, and returns when the command runs. The supervisor records the job before the command may run,
 * reads its output, and records its end durably.
 *
 *     cc -O2 -o launch_floor scripts/launch_floor.c
 *     mkdir -p DIRECTORY/jobs DIRECTORY/inbox; PH=DIRECTORY ./launch_floor PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int create(const char *path) {
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) {
        perror(path);
        exit(1);
    }
    return file;
}

static void write_file(const char *path, const void *bytes, size_t count) {
    int file = create(path);
    write(file, bytes, count);
    close(file);
}

static void supervise(const char *home, const char *directory, int answer, char **command) {
    char path[512], byte;
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    snprintf(path, sizeof path, "%s/lock", directory);
    flock(open(path, O_RDWR | O_CLOEXEC), LOCK_EX);
    snprintf(path, sizeof path, "%s/record", directory);
    int record = open(path, O_RDWR | O_CLOEXEC);

    int gate[2], output[2], executed[2];
    pipe2(gate, O_CLOEXEC);
    pipe2(output, O_CLOEXEC);
    pipe2(executed, O_CLOEXEC);
    if (!fork()) {
        dup2(output[1], 1);
        dup2(output[1], 2);
        close(gate[1]);
        read(gate[0], &byte, 1);
        execvp(command[0], command);
        _exit(127);
    }
    close(gate[0]);
    close(output[1]);
    close(executed[1]);
    pwrite(record, "started", 7, 0);
    write(gate[1], "g", 1);
    close(gate[1]);
    read(executed[0], &byte, 1);
    write(answer, "!", 1);
    close(answer);

    char buffer[65536];
    while (read(output[0], buffer, sizeof buffer) > 0) {
    }
    while (waitpid(-1, NULL, 0) > 0) {
    }
    pwrite(record, "finished", 8, 2048);
    fdatasync(record);
    snprintf(path, sizeof path, "%s/inbox/x", home);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    _exit(0);
}

int main(int count, char **words) {
    const char *home = getenv("PH");
    if (count < 2 || !home) {
        fprintf(stderr, "usage: PH=DIRECTORY launch_floor PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char directory[256], path[512], renamed[512], block[4096] = {0}, byte;
    snprintf(directory, sizeof directory, "%s/jobs/%lx%lx", home, (long)getpid(), now.tv_nsec);
    mkdir(directory, 0700);
    snprintf(path, sizeof path, "%s/record", directory);
    write_file(path, block, sizeof block);
    snprintf(path, sizeof path, "%s/lock", directory);
    write_file(path, "", 0);
    snprintf(path, sizeof path, "%s/spec.new", directory);
    int spec = create(path);
    int length = snprintf(block, sizeof block, "{\"cmd\":\"%s\"}", words[1]);
    write(spec, block, length);
    snprintf(renamed, sizeof renamed, "%s/spec.json", directory);
    rename(path, renamed);
    snprintf(path, sizeof path, "%s/inbox/%lx%lx", home, (long)getpid(), now.tv_nsec);
    write_file(path, "", 0);

    int answer[2];
    pipe2(answer, O_CLOEXEC);
    if (!fork()) {
        close(answer[0]);
        supervise(home, directory, answer[1], words + 1);
    }
    close(answer[1]);
    fsync(spec);
    fsync(open(directory, O_RDONLY));
    snprintf(path, sizeof path, "%s/jobs", home);
    fsync(open(path, O_RDONLY));
    read(answer[0], &byte, 1);
    printf("id\n");
    fflush(stdout);
    _exit(0);
}
