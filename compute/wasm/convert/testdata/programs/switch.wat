;; An interpreter of four operations: a br_table per step and a call per operation.
(module
  (memory 1 1)
  (type $op (func (param i64) (result i64)))
  (table 2 funcref)
  (elem (i32.const 0) $double $half)
  (func $double (type $op) (i64.add (i64.shl (local.get 0) (i64.const 1)) (i64.const 1)))
  (func $half (type $op) (i64.shr_u (local.get 0) (i64.const 1)))
  (func (export "run") (param $n i32) (result i64) (local $v i64)
    (local.set $v (i64.const 1))
    (loop $next
      (block $done
        (block $three (block $two (block $one (block $zero
          (br_table $zero $one $two $three (i32.and (local.get $n) (i32.const 3))))
          (local.set $v (call $double (local.get $v))) (br $done))
          (local.set $v (i64.xor (local.get $v) (i64.const 0x55))) (br $done))
          (local.set $v (call_indirect (type $op) (local.get $v) (i32.and (i32.shr_u (local.get $n) (i32.const 2)) (i32.const 1)))) (br $done))
        (local.set $v (i64.rotl (local.get $v) (i64.const 7))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $v)))
