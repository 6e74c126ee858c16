#include "crypto/handshake.h"
#include <gtest/gtest.h>
#include "crypto/identity.h"
#include "crypto/unit.h"
