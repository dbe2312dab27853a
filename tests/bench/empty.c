/* A preloaded library that does nothing: what LD_PRELOAD itself costs. */
typedef int no_empty_translation_unit;
