#include "policy/fsm.h"
