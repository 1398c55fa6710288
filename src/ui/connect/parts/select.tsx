import type { SelectHTMLAttributes } from 'preact';
import { DownIcon } from './icons.tsx';

interface Props {
    readonly attributes: SelectHTMLAttributes;
    readonly choices: readonly string[];
    /** The label of the choice to choose nothing, where that is allowed. */
    readonly emptyChoice: string | undefined;
    onChange(value: string): void;
}

export const Select = ({ attributes, choices, emptyChoice, onChange }: Props) => (
    <div class="control">
        <select {...attributes} onChange={(event) => onChange(event.currentTarget.value)}>
            {emptyChoice !== undefined && <option value="">{emptyChoice}</option>}
            {choices.map((choice) => (
                <option key={choice} value={choice}>
                    {choice}
                </option>
            ))}
        </select>
        <DownIcon />
    </div>
);
