/* SPDX-License-Identifier: Apache-2.0
 *
 * replay <file or folder>...: a fuzzer's inputs once each, without libFuzzer.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static long replayed;

static void replay(const char *path) {
  static uint8_t bytes[1 << 16];
  DIR *folder = opendir(path);
  if (folder) {
    char name[4096];
    for (struct dirent *entry; (entry = readdir(folder));) {
      if (entry->d_name[0] == '.') continue;
      snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
      replay(name);
    }
    closedir(folder);
    return;
  }
  FILE *file = fopen(path, "rb");
  if (!file) return;
  size_t count = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  LLVMFuzzerTestOneInput(bytes, count);
  replayed++;
}

int main(int count, char **arguments) {
  for (int k = 1; k < count; k++) replay(arguments[k]);
  printf("%ld inputs\n", replayed);
  return !replayed;
}
