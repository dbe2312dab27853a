/* Two threads look up a host, each with resolver options of its own, which it gives to getaddrinfo in the only way there
 * is: by setenv. Prints the options that each look-up was made with.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_barrier_t turn, both_set;

struct resolver {
    const char *options;
    int is_second, dots;
};

static void *resolve(void *argument) {
    struct resolver *resolver = argument;
    struct addrinfo *found = NULL;
    if (resolver->is_second)
        pthread_barrier_wait(&turn);
    setenv("RES_OPTIONS", resolver->options, 1);
    if (!resolver->is_second)
        pthread_barrier_wait(&turn);
    pthread_barrier_wait(&both_set);
    /* What a program does that does not trust what was read long ago. */
    res_init();
    if (getaddrinfo("localhost", "80", NULL, &found) == 0)
        freeaddrinfo(found);
    resolver->dots = (int)_res.ndots;
    return NULL;
}

int main(void) {
    struct resolver resolvers[2] = {{"ndots:2", 0, 0}, {"ndots:5", 1, 0}};
    pthread_t threads[2];
    pthread_barrier_init(&turn, NULL, 2);
    pthread_barrier_init(&both_set, NULL, 2);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, resolve, &resolvers[i]) != 0)
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        printf("wanted %s, got ndots:%d\n", resolvers[i].options, resolvers[i].dots);
    return 0;
}
