/** Which organization a page is about, and what the person may do there. */
import type { Organization } from "./api";
import { useMe } from "./data";
import { organizationFields, useUrlState } from "./url";

export function useOrganization() {
  const me = useMe();
  const [{ organization: chosen }, change] = useUrlState(organizationFields);
  const all = me.data?.organizations ?? [];
  const organization = all.find(({ id }) => id === chosen) ?? all[0];
  return {
    me,
    all,
    organization,
    choose: (id: string) => change({ organization: id === all[0]?.id ? "" : id }, "push"),
  };
}

/** Whether a role may act on alerts, and write rules and silences. */
export function mayWrite(role: Organization["role"] | undefined): boolean {
  return role !== undefined && role !== "viewer";
}

/** Whether a role may change who is told. */
export function mayRule(role: Organization["role"] | undefined): boolean {
  return role === "owner" || role === "admin";
}

/** The person's role in an organization. */
export function useRole(organizationId: string | undefined): Organization["role"] | undefined {
  return useMe().data?.organizations.find(({ id }) => id === organizationId)?.role;
}
