// Sees which thread waits for the disk, and lets the disk stand still for all but one. Replaces
// fsync() and fdatasync() of the whole program.
#pragma once

namespace leat::test {

// From now on nothing has waited, and this thread is the one that the disk always answers.
void watch_disk();
void stand_still(bool still);
int waits_here();
int waits_elsewhere();
// Until so many others have waited, for 30 s at most.
bool others_have_waited(int number);

}  // namespace leat::test
