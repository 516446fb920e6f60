/** What can be done to one of a list: change it, delete it, and what its kind has besides. */
"use client";

import { Ellipsis, PencilLine, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Button } from "./button";
import { Confirm } from "./dialog";
import { Menu, MenuItem, MenuLine } from "./menu";

export function ItemMenu({
  name,
  kind,
  quiet = false,
  onEdit,
  lost,
  remove,
  children,
}: {
  name: string;
  /** In a sentence: `channel`, `rule`. */
  kind: string;
  quiet?: boolean;
  onEdit: () => void;
  /** What goes with it when it is deleted. */
  lost: ReactNode;
  remove: () => Promise<unknown>;
  /** Items between changing and deleting. */
  children?: ReactNode;
}) {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Menu
        label={`Actions for ${name}`}
        trigger={
          <Button kind={quiet ? "quiet" : undefined} size="icon" aria-label={`More for ${name}`}>
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem onSelect={onEdit}>
          <PencilLine aria-hidden /> Change
        </MenuItem>
        {children}
        <MenuLine />
        <MenuItem danger onSelect={() => setAsking(true)}>
          <Trash2 aria-hidden /> Delete
        </MenuItem>
      </Menu>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Delete ${name}?`}
        description={lost}
        action={`Delete the ${kind}`}
        run={remove}
      />
    </>
  );
}
