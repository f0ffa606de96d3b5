#include "sim/run.h"

int main(int argc, char** argv) { return oas::sim::simulate({argv + (argc > 0 ? 1 : 0), argv + argc}); }
