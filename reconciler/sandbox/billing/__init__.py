"""What happens between the objects: periods, prices times quantities, discounts, taxes, invoices, payments."""
