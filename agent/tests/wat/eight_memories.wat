;; Eight memories of 512 KiB, each below a cap of 1 MiB that all of them together pass.
(component
  (core module $m (memory 8))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m)))
