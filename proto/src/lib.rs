//! Protocol Buffers: schemas compiled to flat tables, and the codec that walks them.
