;; The sum of the numbers below n: the tightest loop there is.
(module
  (func (export "run") (param $n i32) (result i64) (local $i i32) (local $s i64)
    (loop $next
      (local.set $s (i64.add (local.get $s) (i64.extend_i32_u (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $s)))
