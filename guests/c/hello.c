/* Greets, shows its arguments, and finishes: a component that no Rust toolchain made. */
#include <stdio.h>

int main(int argc, char **argv) {
    puts("hello from C");
    for (int index = 0; index < argc; index++) {
        printf("arg %d: %s\n", index, argv[index]);
    }
    return 0;
}
